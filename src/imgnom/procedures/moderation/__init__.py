"""The desk: staff look at what is published, remove a picture or comment with a reason, and read who handled what.

Every look and act leaves a handler record before it happens (C3, X4): if the record cannot be written, nothing is
shown or done. Nobody here sees an e-mail address, a full network address or a private picture.
"""
