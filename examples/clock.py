"""Puts a job into the api every two seconds."""

import os
import time
import urllib.request

API = f"http://localhost:{os.environ['API_PORT']}/jobs"

number = 0
while True:
    time.sleep(2)
    number += 1
    try:
        urllib.request.urlopen(API, data=f"job {number}".encode(), timeout=2).close()
    except OSError as error:
        print(f"cannot put job {number}: {error}")
