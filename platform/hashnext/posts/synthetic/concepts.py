"""The synthetic concepts: WordNet 3.0 nouns, what people call them, and what they look like."""

from dataclasses import dataclass

from hashnext.posts.synthetic.primitives import (
    Primitive,
    arc,
    blob,
    disc,
    dots,
    horn,
    line,
    pair,
    petals,
    poly,
    ridge,
    star,
    tiles,
)  # fmt: skip

Part = tuple[Primitive, str, *tuple[float, ...]]
"""A primitive, its colour in `drawing.COLOURS`, its parameters."""
SKY = (tiles, "sky", 9, 9, 9, 9)


@dataclass(frozen=True)
class Concept:
    """One row of the table."""

    wnid: str
    names: str
    """Lemmas of the synset in WordNet 3.0, the usual one first."""
    broader: str
    """Lemmas of its hypernyms."""
    emoji: str
    turn: int | None
    """Largest rotation in degrees; None for scenes and textures, which fill the picture."""
    parts: tuple[Part, ...]
    """What is drawn, from back to front."""


CONCEPTS = (
    Concept("n02121620", "cat", "feline animal", "🐱", 20, (
        (pair(poly), "fur", .2,-.5,.78,-.98,.8,-.1), (pair(poly), "pink", .42,-.5,.7,-.8,.7,-.3),
        (disc, "fur", 0,.1,.85,.75), (pair(disc), "lime", .36,-.05,.19,.17),
        (pair(disc), "ink", .36,-.05,.07,.15), (disc, "cream", 0,.42,.34,.24),
        (disc, "pink", 0,.28,.12,.08), (pair(line), "ink", .03,.3,.42,.95,.32),
        (pair(line), "ink", .03,.3,.48,.92,.58))),
    Concept("n07873807", "pizza pizza_pie", "dish food", "🍕", 180, ((disc, "crust", 0,0,.96),
        (disc, "gold", 0,0,.82), (dots, "red", 0,0,.68,.68,9,.17),
        (dots, "leaf", .06,.1,.7,.7,13,.05))),
    Concept("n09217230", "beach", "formation", "🏖", None, (SKY, (disc, "gold", .45,-.6,.22),
        (ridge, "sea", -.05,.02,3,1), (ridge, "teal", .15,.03,4,2),
        (ridge, "white", .36,.06,2.2,0), (ridge, "sand", .44,.07,2.2,0),
        (star, "coral", -.45,.68,5,.13,.06))),
    Concept("n02274259", "butterfly", "insect animal", "🦋", 50, (
        (pair(blob), "any", .05,-.05,.45,-.85,.95,-.8,.85,-.1,.4,.1),
        (pair(blob), "other", .05,.05,.6,.08,.78,.5,.42,.85,.12,.45),
        (pair(disc), "cream", .62,-.5,.13), (pair(disc), "ink", .5,.45,.1),
        (disc, "ink", 0,.05,.08,.55), (pair(line), "ink", .04,.02,-.45,.3,-.95))),
    Concept("n02958343", "car auto automobile motorcar", "motor_vehicle vehicle", "🚗", 12, (
        (disc, "any", -.1,-.12,.58,.45), (disc, "glass", -.1,-.12,.48,.34),
        (line, "any", .07,-.05,-.55,-.05,0),
        (blob, "any", -1,.3,-.9,-.06,0,-.12,.85,-.04,1,.3,.7,.42,-.7,.42),
        (pair(disc), "ink", .55,.4,.25), (pair(disc), "silver", .55,.4,.12),
        (disc, "gold", .9,.14,.09))),
    Concept("n11939491", "daisy", "flower plant", "🌼", 60, ((line, "leaf", .08,0,0,.1,1),
        (petals, "white", 0,-.1,13,.5,.34,.12), (disc, "gold", 0,-.1,.27),
        (dots, "orange", 0,-.1,.2,.2,14,.025))),
    Concept("n09359803", "mountain mount", "elevation formation", "🏔", None, (SKY,
        (ridge, "mist", .1,.2,2.5,2,1), (poly, "slate", -1.3,.8,-.4,-.3,.4,.8),
        (poly, "slate", -.6,.9,.28,-.6,1.3,.9),
        (poly, "white", -.56,-.1,-.4,-.3,-.25,-.09,-.4,-.02),
        (poly, "white", .08,-.26,.28,-.6,.5,-.28,.4,-.36,.3,-.16,.2,-.32),
        (ridge, "forest", .5,.08,3,1), (ridge, "leaf", .72,.06,2,3))),
    Concept("n07739125", "apple", "edible_fruit fruit", "🍎", 25, (
        (blob, "red", 0,-.45,.4,-.6,.8,-.3,.8,.2,.4,.85,0,.8,-.4,.85,-.8,.2,-.8,-.3,-.4,-.6),
        (line, "bark", .09,0,-.42,.06,-.85), (disc, "leaf", .34,-.8,.3,.13,-30))),
    Concept("n03544360", "house", "building structure", "🏠", 6, (
        (line, "brick", .2,.45,-.75,.45,-.3), (poly, "pale", -.7,-.2,.7,-.2,.7,.9,-.7,.9),
        (poly, "any", -.9,-.15,0,-.9,.9,-.15), (poly, "bark", -.17,.3,.17,.3,.17,.9,-.17,.9),
        (pair(poly), "glass", .32,.05,.58,.05,.58,.4,.32,.4))),
    Concept("n02512053", "fish", "aquatic_vertebrate animal", "🐟", 25, (
        (blob, "other", -.45,0,-.98,-.55,-.8,0,-.98,.55),
        (blob, "other", -.2,-.3,.05,-.75,.4,-.35), (disc, "any", .15,0,.72,.43),
        (arc, "pale", .2,0,.42,.07,130,230), (arc, "pale", 0,0,.42,.07,130,230),
        (disc, "white", .55,-.1,.13), (disc, "ink", .58,-.1,.07))),
    Concept("n12582231", "palm palm_tree", "tree plant", "🌴", 10, (
        (line, "bark", .13,.12,.98,.03,.4,0,-.3), (pair(horn), "leaf", .48,-.28,.48,.22,180,345),
        (pair(horn), "forest", .4,-.05,.45,.2,215,360),
        (pair(horn), "leaf", .62,-.62,.66,.2,140,245))),
    Concept("n02897820", "brick", "building_material", "🧱", None, ((tiles, "mist", 9,9,9,9),
        (tiles, "brick", .48,.2,.52,.24))),
    Concept("n07639069", "doughnut donut", "cake food", "🍩", 180, ((arc, "crust", 0,0,.6,.7,0,360),
        (arc, "any", 0,0,.6,.54,0,360), (petals, "white", 0,0,9,.5,.03,.09),
        (petals, "gold", .04,.04,11,.7,.09,.03))),
    Concept("n04128499", "sailboat sailing_boat", "vessel craft", "⛵", 14, (
        (line, "bark", .06,0,.5,0,-.95), (poly, "white", .07,-.9,.85,.35,.07,.35),
        (poly, "other", -.07,-.7,-.07,.35,-.65,.35),
        (blob, "any", -.95,.48,0,.5,.95,.48,.6,.85,-.6,.85))),
    Concept("n02055803", "penguin", "seabird bird", "🐧", 15, (
        (pair(disc), "orange", .25,.92,.22,.08), (pair(disc), "ink", .55,.2,.14,.45,-20),
        (disc, "ink", 0,.1,.55,.82), (disc, "white", 0,.3,.4,.58),
        (pair(disc), "white", .19,-.35,.18,.22), (pair(disc), "ink", .17,-.36,.07),
        (disc, "orange", 0,-.16,.13,.09))),
    Concept("n07745940", "strawberry", "berry fruit", "🍓", 30, (
        (blob, "red", 0,.95,-.5,.45,-.75,-.1,-.5,-.55,0,-.6,.5,-.55,.75,-.1,.5,.45),
        (dots, "cream", 0,.0,.55,.65,16,.045), (star, "leaf", 0,-.58,7,.45,.16))),
    Concept("n03541923", "hot-air_balloon", "balloon aircraft", "🎈", 12, (
        (pair(line), "bark", .03,.3,.35,.16,.75), (disc, "any", 0,-.25,.72,.72),
        (disc, "other", 0,-.25,.44,.72), (disc, "any", 0,-.25,.17,.72),
        (poly, "crust", -.2,.7,.2,.7,.16,.98,-.16,.98))),
    Concept("n09426788", "sea", "body_of_water", "🌊", None, (SKY, (ridge, "teal", -.35,.05,4,1),
        (ridge, "sea", -.12,.08,3,2), (ridge, "white", .12,.1,3.4,4),
        (ridge, "teal", .17,.1,3.4,4), (ridge, "white", .5,.13,2.6,0),
        (ridge, "navy", .56,.13,2.6,0))),
    Concept("n03063599", "coffee_mug", "mug vessel", "☕", 12, ((arc, "any", .6,.1,.3,.14,-100,100),
        (poly, "any", -.6,-.5,.6,-.5,.52,.85,-.52,.85), (disc, "pale", 0,-.5,.6,.17),
        (disc, "bark", 0,-.48,.5,.12), (horn, "white", -.05,-.8,.14,.07,90,270),
        (horn, "white", .15,-.82,.14,.07,-90,90))),
    Concept("n02165456", "ladybug ladybird lady_beetle", "beetle insect", "🐞", 180, (
        (pair(line), "ink", .06,.4,-.3,.9,-.5), (pair(line), "ink", .06,.5,.15,.98,.15),
        (pair(line), "ink", .06,.4,.5,.85,.8), (disc, "ink", 0,-.62,.38,.3),
        (disc, "red", 0,.12,.74,.76), (line, "ink", .06,0,-.6,0,.86),
        (pair(disc), "ink", .35,-.15,.15), (pair(disc), "ink", .42,.35,.14),
        (pair(disc), "white", .2,-.72,.08))),
    Concept("n07753592", "banana", "edible_fruit fruit", "🍌", 60, (
        (horn, "gold", 0,-.65,1,.5,10,170), (horn, "sand", 0,-.65,.95,.1,40,140),
        (pair(disc), "bark", .94,-.4,.08))),
    Concept("n04507155", "umbrella", "canopy shelter", "☂", 25, ((line, "ink", .06,0,-.9,0,.7),
        (arc, "ink", .16,.7,.16,.07,0,180), (arc, "any", 0,.1,.475,.95,180,360),
        (arc, "other", 0,.1,.475,.95,210,243), (arc, "other", 0,.1,.475,.95,297,330))),
    Concept("n01621127", "owl", "bird_of_prey bird", "🦉", 12, (
        (pair(poly), "bark", .1,-.6,.6,-.98,.62,-.3), (disc, "bark", 0,.08,.7,.88),
        (disc, "sand", 0,.4,.4,.48), (dots, "bark", 0,.4,.3,.38,9,.05),
        (pair(disc), "cream", .29,-.3,.28), (pair(disc), "ink", .27,-.3,.14),
        (poly, "orange", -.1,-.16,.1,-.16,0,.1))),
    Concept("n09403427", "rainbow", "bow curve", "🌈", 10, ((arc, "red", 0,.5,.92,.12,180,360),
        (arc, "orange", 0,.5,.81,.12,180,360), (arc, "gold", 0,.5,.7,.12,180,360),
        (arc, "leaf", 0,.5,.59,.12,180,360), (arc, "sea", 0,.5,.48,.12,180,360),
        (arc, "violet", 0,.5,.37,.12,180,360), (pair(dots), "white", .66,.55,.28,.08,6,.16))),
    Concept("n02691156", "airplane aeroplane plane", "aircraft vehicle", "✈", 180, (
        (pair(poly), "any", .08,-.2,.98,.3,.98,.48,.08,.22),
        (pair(poly), "any", .05,.68,.42,.88,.42,.98,.05,.9), (disc, "white", 0,0,.15,.98),
        (disc, "glass", 0,-.68,.09,.12), (pair(disc), "silver", .45,.1,.07,.16))),
    Concept("n09218315", "honeycomb", "structure", "🍯", None, ((tiles, "bark", 9,9,9,9),
        (tiles, "gold", .36,.42,.4,.345,6))),
    Concept("n03046257", "clock", "timepiece instrument", "🕰", 30, ((disc, "any", 0,0,.96),
        (disc, "cream", 0,0,.8), (petals, "ink", 0,0,12,.67,.08,.03),
        (line, "ink", .08,0,0,.02,-.42), (line, "ink", .06,0,0,.48,.2), (disc, "red", 0,0,.08))),
    Concept("n02317335", "starfish sea_star", "echinoderm animal", "⭐", 180, (
        (petals, "coral", 0,0,5,.45,.55,.2), (star, "coral", 0,0,5,.9,.42),
        (petals, "sand", 0,0,5,.4,.35,.05), (dots, "cream", 0,0,.28,.28,9,.045))),
    Concept("n07614730", "ice-cream_cone", "frozen_dessert dessert", "🍦", 18, (
        (poly, "crust", -.45,.05,.45,.05,0,1), (pair(line), "bark", .03,.25,.1,-.12,.7),
        (pair(line), "bark", .03,0,.1,.24,.42), (disc, "any", 0,-.12,.48,.4),
        (disc, "other", 0,-.55,.38,.34), (disc, "red", .05,-.9,.11))),
    Concept("n03011521", "checkerboard", "board", "🏁", None, ((tiles, "any", 9,9,9,9),
        (tiles, "cream", .3,.3,.6,.3))),
    Concept("n13001041", "mushroom", "agaric fungus", "🍄", 18, (
        (blob, "cream", -.25,-.1,.25,-.1,.25,.5,.36,.92,-.36,.92,-.25,.5),
        (arc, "red", 0,.1,.46,.92,180,360), (disc, "sand", 0,.1,.92,.14),
        (dots, "white", 0,-.36,.55,.3,8,.11))),
    Concept("n09472597", "volcano", "mountain formation", "🌋", None, ((tiles, "dusk", 9,9,9,9),
        (dots, "mist", .1,-.72,.3,.16,9,.12), (poly, "slate", -1.1,1,-.16,-.38,.16,-.38,1.1,1),
        (star, "orange", 0,-.45,9,.22,.1),
        (blob, "red", -.15,-.39,.15,-.39,.1,0,.2,.35,.05,.1,-.06,.2),
        (ridge, "ink", .75,.08,3,1,1))),
    Concept("n09358358", "moon", "satellite celestial_body", "🌙", 30, (
        (horn, "cream", .25,0,.72,.55,80,280), (star, "gold", .35,-.2,5,.2,.08),
        (star, "gold", .55,.35,5,.13,.055))),
    Concept("n07756951", "watermelon", "melon fruit", "🍉", 40, ((arc, "forest", 0,-.4,.5,1,0,180),
        (arc, "cream", 0,-.4,.45,.9,0,180), (arc, "coral", 0,-.4,.41,.82,0,180),
        (pair(disc), "ink", .22,-.1,.04,.08,20), (pair(disc), "ink", .5,-.15,.04,.08,40),
        (disc, "ink", 0,.15,.04,.08))),
    Concept("n11608250", "pine pine_tree", "conifer tree", "🌲", 6, (
        (poly, "bark", -.1,.5,.1,.5,.12,.98,-.12,.98), (poly, "forest", -.72,.68,0,-.1,.72,.68),
        (poly, "forest", -.58,.25,0,-.5,.58,.25), (poly, "forest", -.42,-.2,0,-.95,.42,-.2))),
    Concept("n11509066", "snowflake flake", "crystal", "❄", 60, (
        (petals, "ice", 0,0,6,.48,.5,.055), (petals, "ice", 0,0,12,.3,.2,.04),
        (star, "ice", 0,0,6,.36,.16), (petals, "ice", 0,0,6,.68,.05,.2),
        (petals, "ice", 0,0,6,.48,.05,.15))),
)  # fmt: skip
"""From the most to the least frequent."""
