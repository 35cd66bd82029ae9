"""imgnom: an image-sharing community whose privacy policy runs."""

__version__ = "0.1.0"
