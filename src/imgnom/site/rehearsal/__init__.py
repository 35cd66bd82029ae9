"""`imgnom rehearse`: the years of a policy in minutes, on a throw-away copy of the real application (I12).

command.py    what is asked for, the board as people and programs read it, the exit status
house.py      the throw-away home and the real site in it; attendant.py clears both away, whatever ends the rehearsal
canaries.py   random values to plant; pictures.py hides some of them wherever a picture can carry something
hunt.py       the search of every byte under the home
visitor.py    a browser's half of HTTP, without script
stage.py      what every scene stands on; story.py tells them in order; scenes/ holds one file for each
sabotage.py   steps that may be broken on purpose
board.py      clauses, evidence, green or red; bar.py the progress; record.py keeps it for a site
"""
