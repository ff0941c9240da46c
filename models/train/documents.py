"""Conversations about documents, made from the corpora: what a question in the chat looks like.

Four kinds: a word's definition; the same out of a glossary in the prompt; "What does the text say
about X?" on a passage; and questions on invented handbooks whose sentences are mixed with those of
the corpora.
"""
import json
import re
import textwrap

PLACES = ["station", "lighthouse", "school", "library", "observatory", "museum", "farm", "inn",
          "mill", "harbor", "garden", "hospital", "bakery", "workshop", "chapel", "theater",
          "brewery", "monastery", "quarry", "orchard", "shipyard", "foundry"]
HEADS = ["keeper", "director", "master", "warden", "captain", "manager", "head", "steward"]
HANDS = ["cook", "gardener", "clerk", "carpenter", "baker", "porter", "doctor", "teacher", "smith"]
BUILDINGS = ["tower", "hall", "house", "barn", "old gate", "chimney", "bridge", "wall", "stable",
             "clock house", "dome", "great room"]
BUILDINGS += [b.title() for b in BUILDINGS]
STUFF = ["oak", "brick", "granite", "iron", "pine", "slate", "sandstone", "copper", "glass"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December"]
BOATS = ["Patience", "Swallow", "Good Hope", "Morning Star", "Albatross", "Fortune", "Heron",
         "Providence", "Grey Lady", "Endeavor", "Kittiwake", "Constance", "Sea Rose", "Mercury",
         "Wanderer", "Northern Light", "Charity", "Petrel", "Speedwell", "Dolphin"]
WARES = ["honey", "bread", "cheese", "candles", "cider", "wool", "soap", "apples", "jam", "paper"]
COINS = ["crowns", "pence", "shillings", "dollars", "marks", "francs"]
ANIMALS = ["hives", "goats", "horses", "sheep", "hens", "cows", "dogs", "geese", "cats"]
COLORS = ["red", "blue", "green", "white", "black", "yellow", "grey"]
JOBS = ["a schoolteacher", "a merchant", "a retired sailor", "a doctor", "a young engineer",
        "a clockmaker", "a widow", "a priest", "an astronomer", "a farmer"]
NUMBERS = ["three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
           "fourteen", "fifteen", "sixteen", "eighteen", "twenty", "twenty-one", "twenty-four",
           "twenty-six", "thirty", "thirty-one", "thirty-four", "forty", "forty-two", "fifty"]
STARTS = ["Hal", "Wre", "Sol", "Oka", "Lind", "Bram", "Cas", "Dor", "Fen", "Gar", "Har", "Ing",
          "Kel", "Lam", "Mor", "Nor", "Pel", "Quin", "Ros", "Sten", "Tol", "Ul", "Van", "Wes",
          "Yar", "Ash", "Bel", "Cro", "Del", "Ems", "Thorn", "Black", "White", "Green"]
ENDS = ["e", "n", "berg", "for", "quist", "well", "ton", "ley", "man", "son", "wick", "ford",
        "by", "stad", "er", "ham", "mond", "dale", "wood", "field", "ers", "i", "a"]
LANDS = ["Cape", "Port", "Mount", "Saint", "Lake", "Upper", "New", "Old"]

# What the handbook says; pairs of a question and its answer. {k}: the kind of place.
FACTS = [
    (["The {k} was founded in {y} by {p}.", "{p}, {job}, founded the {k} in {y}.",
      "The {k} was founded in {y} by {p}, {job} from {t}."],
     [("Who founded the {k}, and in what year?", "The {k} was founded in {y} by {p}."),
      ("Who founded the {k}?", "The {k} was founded by {p}."),
      ("When was the {k} founded?", "The {k} was founded in {y}.")]),
    (["The {k}'s boat is called the {boat}.", "The boat of the {k} is called the {boat}.",
      "The boat is called the {boat}."],
     [("What is the name of the {k}'s boat?", "The {k}'s boat is called the {boat}."),
      ("What is the boat called?", "The boat is called the {boat}.")]),
    (["The {b} was built in {y2} and is {n} meters high.",
      "The {b} was built in {y2}, is {n} meters high, and is made of {stuff}.",
      "Behind it stands the {b}. It was built in {y2}, is {n} meters high, and is made of {stuff}."],
     [("How tall is the {b}?", "The {b} is {n} meters high."),
      ("How high is the {b}?", "The {b} is {n} meters high."),
      ("When was the {b} built?", "The {b} was built in {y2}.")]),
    (["The present {head} is {p2}.", "The {head} is {p2}.",
      "The {head} of the {k} is {p2}, who came there in {y3}."],
     [("Who is the {head}?", "The {head} is {p2}."),
      ("What is the name of the {head}?", "The {head} is {p2}.")]),
    (["The {hand}, {p3}, is also the {hand2}.", "The {hand} is {p3}.",
      "The {hand} is called {p3}, and lives in the {b2}."],
     [("Who is the {hand}?", "The {hand} is {p3}."),
      ("What is the {hand} called?", "The {hand} is called {p3}.")]),
    (["The {k} is open every day except {day}.", "On {day} the {k} is closed.",
      "The {k} is closed on {day}."],
     [("On what day is the {k} closed?", "The {k} is closed on {day}."),
      ("When is the {k} closed?", "The {k} is closed on {day}.")]),
    (["The {ware} is sold at the door, at {m} {coin}.", "The {ware} costs {m} {coin}."],
     [("How much is the {ware}?", "The {ware} costs {m} {coin}."),
      ("What does the {ware} cost?", "The {ware} costs {m} {coin}.")]),
    (["The {k} keeps {m2} {animal}.", "There are {m2} {animal} at the {k}."],
     [("How many {animal} are there?", "There are {m2} {animal}."),
      ("How many {animal} does the {k} keep?", "The {k} keeps {m2} {animal}.")]),
    (["The door of the {b3} is painted {color}.", "The {b3} has a {color} door."],
     [("What color is the door of the {b3}?", "The door of the {b3} is {color}.")]),
    (["The {k} stands near the town of {t2}.", "The nearest town is {t2}."],
     [("What is the nearest town?", "The nearest town is {t2}."),
      ("Where is the {k}?", "The {k} stands near the town of {t2}.")]),
    (["In {month} the roof is repaired.", "The roof is repaired every year in {month}."],
     [("When is the roof repaired?", "The roof is repaired in {month}.")]),
    (["The accident of {y4}, in which {p4} was hurt, is not forgotten.",
      "In {y4} there was an accident, in which {p4} was hurt."],
     [("Who was hurt in the accident?", "{p4} was hurt in the accident of {y4}."),
      ("When was the accident?", "The accident was in {y4}.")]),
]


def first_names(package):
    out = []
    for kind in ("female", "male"):
        out += json.loads((package / f"{kind}-first-names-en/data/names.json").read_text())
    return sorted(n for n in out if 3 <= len(n) <= 9)


def sentences(text):
    return [s.strip() for s in re.split(r"(?<=[.!?]) +|\n+", text) if s.strip()]


def conversation(kind, user, answer):
    return {"kind": kind, "user": user, "answer": answer}


def article(word):
    return ("an " if word[0] in "aeiou" else "a ") + word


def definition(rng, word):
    name, part, meaning = word
    ask = rng.choice(["What does {} mean?", "What does the word {} mean?", "Define {}.",
                      "What is the meaning of {}?"]).format(name)
    return conversation("definition", ask, f"{name.capitalize()} is {article(part)}: {meaning}.")


def glossary(rng, words):
    rows = rng.sample(words, rng.randrange(4, 16))
    lines = [f"{name}: {meaning}" for name, _, meaning in rows]
    name, _, meaning = rng.choice(rows)
    ask = rng.choice(["What does {} mean?", "What is {}?", "How is {} defined?"]).format(name)
    return conversation("glossary", "\n".join(lines) + "\n\n" + ask, f"{name}: {meaning}")


def passage(rng, texts):
    """A stretch of a text, and the one sentence of it with a certain word."""
    while True:
        all_ = sentences(rng.choice(texts)[2])
        n = rng.randrange(4, 24)
        if len(all_) <= n:
            continue
        at = rng.randrange(len(all_) - n)
        chosen = all_[at:at + n]
        target = rng.choice(chosen)
        words = [w for w in re.findall(r"[a-z]{6,}", target)
                 if sum(w in s.lower() for s in chosen) == 1]
        if not words or not 30 <= len(target) <= 220:
            continue
        ask = rng.choice(["What does the text say about {}?", "What is said about {}?",
                          "Where is {} mentioned?"]).format(rng.choice(words))
        return conversation("passage", wrap(rng, " ".join(chosen)) + "\n\n" + ask, target)


def wrap(rng, text):
    return "\n".join(textwrap.wrap(text, 100)) if rng.random() < 0.5 else text


def values(rng, names):
    def person():
        title = rng.choice(["", "", "", "", "", "Dr. ", "Mr. ", "Mrs. "])
        last = rng.choice(STARTS) + rng.choice(ENDS)
        return title + last if title[:1] == "M" else title + rng.choice(names) + " " + last

    def town():
        word = rng.choice(STARTS) + rng.choice(ENDS)
        return rng.choice(LANDS) + " " + word if rng.random() < 0.6 else word

    def year():
        return str(rng.randrange(1750, 1990))

    v = {"k": rng.choice(PLACES), "head": rng.choice(HEADS), "job": rng.choice(JOBS),
         "boat": rng.choice(BOATS), "stuff": rng.choice(STUFF), "day": rng.choice(DAYS),
         "month": rng.choice(MONTHS), "ware": rng.choice(WARES), "coin": rng.choice(COINS),
         "animal": rng.choice(ANIMALS), "color": rng.choice(COLORS), "place": town()}
    v["hand"], v["hand2"] = rng.sample(HANDS, 2)
    v["b"], v["b2"], v["b3"] = rng.sample(BUILDINGS, 3)
    v["n"], v["m"], v["m2"] = (rng.choice(NUMBERS) for _ in range(3))
    for i in ("", "2", "3", "4"):
        v["p" + i], v["y" + i] = person(), year()
    v["t"], v["t2"] = town(), town()
    return v


def handbook(rng, names, filler, facts, spread):
    """A document with so many facts, each followed by up to `spread` sentences of something else,
    and two questions about it."""
    v = values(rng, names)
    chosen = rng.sample(FACTS, facts)
    said = [rng.choice(f[0]).format(**v) for f in chosen]
    title = f"{v['place']} {v['k']}".upper()
    parts, section = [], []
    for i, s in enumerate(said):
        section.append(s[0].upper() + s[1:])
        section += [rng.choice(filler) for _ in range(rng.randrange(spread + 1))]
        if rng.random() < 0.4 or i + 1 == len(said):
            parts.append(" ".join(section))
            section = []
    if rng.random() < 0.5:
        parts = [textwrap.fill(p, 100) for p in parts]
    document = title + "\n\n" + "\n\n".join(parts)
    ask, answer = rng.choice(rng.choice(chosen)[1])
    answer = answer.format(**v)
    return conversation("handbook", document + "\n\n" + ask.format(**v),
                        answer[0].upper() + answer[1:])


def conversations(rng, texts, words, names, share):
    filler = [s for _, _, t in texts for s in sentences(t) if 30 <= len(s) <= 160]
    out = [definition(rng, w) for w in words if rng.random() < 0.15]
    out += [glossary(rng, words) for _ in range(int(800 * share))]
    out += [passage(rng, texts) for _ in range(int(800 * share))]
    out += [handbook(rng, names, filler, rng.randrange(2, 7), 1) for _ in range(int(2800 * share))]
    out += [handbook(rng, names, filler, rng.randrange(5, 13), rng.randrange(1, 8))
            for _ in range(int(450 * share))]
    out += [handbook(rng, names, filler, rng.randrange(8, 13), 14) for _ in range(int(150 * share))]
    return out
