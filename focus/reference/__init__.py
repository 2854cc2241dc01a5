"""The media engine in Python: readable before fast, the executable specification of the native one."""
