"""How `gunicorn app:app` serves; read from the folder it is started in. Processes: WEB_CONCURRENCY.

gunicorn's own default is one request at a time, killed after 30 seconds. Installing, connecting and looking ahead ask
other companies' servers, which may take a minute each, and a page of one company must not wait for that of another.
"""

worker_class = "gthread"
threads = 8
timeout = 120
graceful_timeout = 65  # longer than the longest call that a page makes


def on_starting(server: object) -> None:
    """Import what the pages need before the first fork: the processes share it, and each is up seconds earlier.

    Only what is imported: an application, with its connections, each process makes for itself. So new code takes a
    new start; a HUP, which puts new processes in the old one's place, does not bring it.
    """
    import addon.bootstrap
    from addon.web import preload

    preload()
    addon.bootstrap.preload()
