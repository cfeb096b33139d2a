"""Handing a generator over: files that are safe to send, need as little as possible, and say what they are."""
