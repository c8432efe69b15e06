"""Importing files: reading the table (`files`), then checking and saving its rows (`imports`)."""
