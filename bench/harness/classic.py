"""classic.py - the scenarios that are not about the stream: http-users, wrk, stress."""


def run(folder, build, stable, cores, say):
    raise NotImplementedError
