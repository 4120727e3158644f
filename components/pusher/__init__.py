"""Pusher: a blessed model becomes the newest version in the push destination."""
