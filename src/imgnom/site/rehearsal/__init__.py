"""`imgnom rehearse`: the years of a policy in minutes, on a throw-away copy of the real application (I12).

command.py   the throw-away home, the progress bar, the exit status
visitor.py   a browser's half of HTTP, without script
canaries.py  random values to plant and a photograph full of hidden ones
hunt.py      the search of every byte under the home
board.py     clauses, evidence, green or red
story.py     what happens, in order
"""
