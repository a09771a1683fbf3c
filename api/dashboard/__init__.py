"""The dashboard: pages over the same ``/v2`` everyone uses, with no build step and no network.

A page is a template and one ES module. The server fills in who is signed in and nothing else; what
is shown comes from ``/v2`` with the cookie of the sign-in, so a page can show no more than its key
may read. Scripts and styles are files of our own: the content security policy allows no others.
"""
