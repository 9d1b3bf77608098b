# SPDX-License-Identifier: Apache-2.0
"""Django in one file. Arguments: port."""
import sys

import ask
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="none", LOGGING_CONFIG=None)


def handle(request, shape, number):
    ask.answer(request.path, lambda: None)
    return HttpResponse("ok\n")


urlpatterns = [path("<shape>/r/<int:number>", handle)]
application = get_wsgi_application()

if __name__ == "__main__":
    from django.core.servers.basehttp import run
    run("127.0.0.1", int(sys.argv[1]), application, threading=True)
