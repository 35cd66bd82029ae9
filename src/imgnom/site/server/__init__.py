"""The HTTP/1.1 server of the site: threads never wait for a client.

Threads share one poller. A connection is in the poller while its client has to do something, and in a thread only while
there is something to compute: the request is handed to the application once its body is complete, and the answer is
sent as fast as the client takes it, by whichever thread is free. `engine` schedules, `connection` is one client,
`head` and `body` read requests (llhttp parses), `answer` writes responses, `process` is one web process.

No HTTP/2, no TLS and no files: a proxy in front does these. See docs/operating.md for its configuration.
"""
