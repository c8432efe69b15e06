"""Charts, drawn on the server as SVG. Pure: values in, SVG out.

They work in print, without scripts and in every browser. No meaning hangs on colour: shapes, dashes, hatching, places
and words tell things apart, and the colour of the text around is the only one that is needed. Under each stands a table
of the same figures.
"""
