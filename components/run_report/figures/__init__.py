"""The pictures of a report: pure functions from its JSON to SVG that is part of an HTML page.

Text stays text, and colours are the page's variables, so that a picture follows the page into the dark and onto
paper. A function returns None where the report has nothing to draw.
"""
