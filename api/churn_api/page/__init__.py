"""The page at /: the same answers for people, in a browser, with a script or without one."""
