"""The API for physicians and nurses: what every view of the house shares, and the views of the ground floor.

Nothing is imported here: REST framework loads `permissions` while it is itself being loaded.
"""
