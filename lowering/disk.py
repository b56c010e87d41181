def default_cache(): return None
