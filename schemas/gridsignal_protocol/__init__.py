"""`gridsignal.v1` without input and output: what a half of it decides, whatever socket, clock or loop it lives in.

Frames and times go in, frames and events come out. A shell owns the rest: it opens sockets, reads clocks, rolls dice,
waits, and hands what happened to a half in the order in which it happened. Nothing here does, so that both halves can
be played against each other in memory, and a client in another language has something to be compared with.

`client` is the data center's half, `server` the gateway's. How long to stay away after an end is in `comeback`.
"""
