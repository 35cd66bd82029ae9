"""The demo: a cast, their pictures and a sealed letterbox, made once in a fresh home."""
