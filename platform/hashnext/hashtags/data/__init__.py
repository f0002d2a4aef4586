"""Tables derived from WordNet 3.0 (its licence is beside them) and short reviewed lists.

`reviewed_synsets.tsv` corrects what the lexicographer file says of a synset, `reviewed_forms.tsv`
what WordNet says of a noun or of a whole hashtag. An entry is there because people mean something
else by the word than a thing in the picture, whatever the corpus:

- the post itself, its medium or its colours (#photo, #web, #red);
- a quality, an act, a mood, praise, a season, a time (#young, #drive, #vibes, #vintage, #spring);
- a person or persons, who are out by policy (#queen, #twins);
- a part or matter of the body that is sexual or excretory, whatever it is called, and slang for
  it (#tits): no label is named by an obscenity;
- the title of a show, a newspaper, a film or a place that is written like a habit or a compound
  (#loveisland).
"""
