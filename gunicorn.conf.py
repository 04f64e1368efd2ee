"""How `gunicorn app:app` serves; read from the folder it is started in. Processes: WEB_CONCURRENCY.

gunicorn's own default is one request at a time, killed after 30 seconds. Installing, connecting and looking ahead ask
other companies' servers, which may take a minute each, and a page of one company must not wait for that of another.
"""

worker_class = "gthread"
threads = 8
timeout = 120
graceful_timeout = 65  # longer than the longest call that a page makes
