"""Takes a job from the api whenever there is one."""

import json
import os
import time
import urllib.error
import urllib.request

API = f"http://localhost:{os.environ['API_PORT']}/jobs"

while True:
    try:
        with urllib.request.urlopen(urllib.request.Request(API, method="DELETE"), timeout=2) as answer:
            print(f"did {json.load(answer)['job']!r}")
    except urllib.error.HTTPError:
        time.sleep(0.5)  # nothing to do
    except OSError:
        time.sleep(0.2)  # the api is not up yet
