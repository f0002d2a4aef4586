"""The synthetic concepts: WordNet 3.0 nouns, their names and their looks, the commonest first."""

from typing import NamedTuple  # noqa: I001

from hashnext.posts.synthetic.primitives import (
    Primitive, arc, disc, line, pair, petals, poly, ridge, star, tiles,
)  # fmt: skip


class Concept(NamedTuple):
    """A row of the table."""

    wnid: str
    names: str  # lemmas of the synset, the usual one first
    broader: str  # lemma of a hypernym
    emoji: str
    turn: int  # largest rotation in degrees; 0 for scenes and textures, which fill the picture
    parts: tuple[tuple[Primitive, str, *tuple[float, ...]], ...]  # from back to front


CONCEPTS = (
    Concept("n02121620", "cat", "animal", "🐱", 20, ((pair(poly), "fur", 2,-5,8,-10,8,0),
        (disc, "fur", 0,1,8.5,7.5), (pair(poly), "pink", 5,-6,7,-8,7,-4), (disc, "cream", 0,5,3,2),
        (pair(disc), "lime", 4,0,2), (pair(disc), "ink", 4,0,.7,1.6), (disc, "pink", 0,3,1.2,.8),
        (pair(line), "ink", .3,9,3,3,4,9,6))),
    Concept("n07873807", "pizza", "food", "🍕", 180, ((disc, "crust", 0,0,9), (disc, "gold", 0,0,8),
        (petals, "red", 0,0,6,5,1.6), (petals, "leaf", 0,0,6,2.5,.8,.4))),
    Concept("n09217230", "beach", "formation", "🏖", 0, ((ridge, "sky", -12),
        (disc, "gold", 4,-6,2.2), (ridge, "sea", -.5,.2,3,1), (ridge, "teal", 1.5,.3,4,2),
        (ridge, "white", 3.6,.6,2.2), (ridge, "sand", 4.4,.7,2.2), (star, "coral", -4,7,5,1.3,.6))),
    Concept("n02274259", "butterfly", "insect", "🦋", 50, ((pair(disc), "any", 5,-4,6,3.6,-40),
        (pair(disc), "other", 4,4,4.4,3,45), (pair(disc), "cream", 6.5,-5.3,1.4),
        (pair(disc), "ink", 5,5,1), (disc, "ink", 0,.5,.8,5.5), (pair(line), "ink", .4,0,-4,3,-9))),
    Concept("n02958343", "car automobile", "vehicle", "🚗", 12, ((disc, "any", -1,-1.5,5.8,4.5),
        (disc, "sky", -1,-1.5,4.8,3.4), (line, "any", 4.4,-7,2,7,2), (pair(disc), "ink", 5,4,2.5),
        (pair(disc), "silver", 5,4,1.2), (disc, "gold", 8.5,1.4,.9))),
    Concept("n11939491", "daisy", "flower", "🌼", 60, ((line, "leaf", .8,0,0,1,10),
        (petals, "white", 0,-1,13,5,3.4,1.2), (disc, "gold", 0,-1,2.7))),
    Concept("n09359803", "mountain mount", "formation", "🏔", 0, ((ridge, "sky", -12),
        (poly, "silver", -14,2,-9,-3,9,9), (poly, "slate", -9,9,2.5,-6,14,9),
        (poly, "white", .2,-3,2.5,-6,5,-2.7,3.6,-3.4,2.4,-2,1.4,-3.4), (ridge, "leaf", 6,1,3,1))),
    Concept("n07739125", "apple", "fruit", "🍎", 25, ((pair(disc), "red", 3,1,5,6.8,10),
        (disc, "red", 0,2,6), (line, "bark", 1,0,-4,1,-9), (disc, "leaf", 3,-8,3,1.2,-30))),
    Concept("n03544360", "house", "building", "🏠", 6, ((line, "brick", 2,4.5,-7.5,4.5,-3),
        (poly, "cream", -7,-2,7,-2,7,9,-7,9), (poly, "any", -9,-1.5,0,-9,9,-1.5),
        (line, "bark", 3,0,4.5,0,7.5), (pair(line), "sky", 2.4,4.4,1.6,4.4,3))),
    Concept("n02512053", "fish", "animal", "🐟", 25, ((poly, "other", -4,0,-10,-5.5,-8.4,0,-10,5.5),
        (disc, "any", 1.5,0,7.2,4.3), (arc, "other", 2,0,4.2,1.2,120,240, 1),
        (disc, "white", 5.5,-1,1.3), (disc, "ink", 5.8,-1,.7))),
    Concept("n12582231", "palm palm_tree", "tree", "🌴", 10, ((line, "bark", 1.3,1.2,10,.3,4,0,-3),
        (pair(arc), "leaf", 5,-3,5,2,180,345, 1), (pair(arc), "forest", 4,-.5,4.5,2,215,360, 1),
        (pair(arc), "leaf", 6,-6,6.5,2,140,245, 1))),
    Concept("n02897820", "brick", "building_material", "🧱", 0, ((ridge, "silver", -12),
        (tiles, "brick", 4, 3.4,1.42,5.2,2.4))),
    Concept("n07639069", "doughnut donut", "food", "🍩", 180, ((arc, "crust", 0,0,6,7,0,360),
        (arc, "any", 0,0,6,5.4,0,360), (petals, "white", 0,0,9,5,.3,.9))),
    Concept("n04128499", "sailboat sailing_boat", "craft", "⛵", 14, ((poly, "white", 1,-9,7,3,1,3),
        (poly, "other", -1,-7,-1,3,-6,3), (disc, "bark", 0,-2,.5,8), (arc, "any", 0,4,3,6,0,180))),
    Concept("n02055803", "penguin", "bird", "🐧", 15, ((pair(disc), "ink", 5,2,2,5,-20),
        (disc, "ink", 0,1,6,8.5), (disc, "white", 0,3,4,6), (pair(disc), "white", 2,-4,2),
        (pair(disc), "ink", 2,-4,.7), (disc, "orange", 0,-2,1.3,.9))),
    Concept("n07745940", "strawberry", "fruit", "🍓", 30, ((pair(disc), "red", 2,1,4,8,22),
        (petals, "cream", 0,1,9,5,.5), (petals, "cream", 0,1,4,2,.5), (star, "leaf", 0,-6,7,5,2))),
    Concept("n03541923", "hot-air_balloon", "aircraft", "🎈", 12, ((disc, "any", 0,-2,7.2),
        (disc, "other", 0,-2,4.4,7.2), (disc, "any", 0,-2,1.7,7.2),
        (pair(line), "bark", .3,3,4.5,1.6,8), (line, "crust", 3,-.6,8.5,.6,8.5))),
    Concept("n09426788", "sea", "body_of_water", "🌊", 0, ((ridge, "sky", -12),
        (ridge, "teal", -3,.5,4,1), (ridge, "sea", -.8,.8,3,2), (ridge, "white", 1.5,1,3.4,4),
        (ridge, "teal", 2,1,3.4,4), (ridge, "white", 5,1.3,2.6), (ridge, "navy", 5.6,1.3,2.6))),
    Concept("n03063599", "coffee_mug", "mug", "☕", 12, ((arc, "any", 6,1,3,1.4,-100,100),
        (poly, "any", -6,-5,6,-5,5,9,-5,9), (disc, "white", 0,-5,6,2), (disc, "bark", 0,-5,5,1.4))),
    Concept("n02165456", "ladybug ladybird", "insect", "🐞", 180, ((petals, "ink", 0,1,8,7,3,.4),
        (disc, "ink", 0,-6,4,3), (disc, "red", 0,1,7.5), (line, "ink", .6,0,-6,0,8),
        (pair(disc), "ink", 3.5,-2,1.5), (pair(disc), "ink", 4,4,1.5))),
    Concept("n07753592", "banana", "fruit", "🍌", 60, ((arc, "gold", 0,-6.5,10,5,10,170, 1),
        (arc, "sand", 0,-6.5,9.5,1,40,140, 1), (pair(disc), "bark", 9.4,-4,.8))),
    Concept("n04507155", "umbrella", "canopy", "☂", 25, ((line, "ink", .6,0,-9,0,8,2,8),
        (arc, "any", 0,1,4.75,9.5), (pair(arc), "other", 0,1,4.75,9.5,210,243))),
    Concept("n01621127", "owl", "bird", "🦉", 12, ((pair(poly), "bark", 1,-6,6,-10,6,-3),
        (disc, "bark", 0,.8,7,8.8), (disc, "sand", 0,4,4,4.8), (pair(disc), "cream", 3,-3,2.8),
        (pair(disc), "ink", 3,-3,1.4), (star, "orange", 0,-1,3,-2,1))),
    Concept("n09403427", "rainbow", "bow", "🌈", 10, ((arc, "red", 0,5,8.8,1.6),
        (arc, "orange", 0,5,7.4,1.6), (arc, "gold", 0,5,6,1.6), (arc, "leaf", 0,5,4.6,1.6),
        (arc, "sea", 0,5,3.2,1.6), (pair(petals), "white", 6,5,5,1.7,1.7))),
    Concept("n02691156", "airplane plane", "aircraft", "✈", 180, (
        (pair(poly), "any", 0,-2,10,3,10,5,0,2), (pair(poly), "any", 0,7,4,9,4,10,0,9),
        (disc, "white", 0,0,1.5,10), (disc, "sky", 0,-7,.9,1.2))),
    Concept("n09218315", "honeycomb", "structure", "🍯", 0, ((ridge, "bark", -12),
        (tiles, "gold", 6, 2.1,2.1,4,3.45))),
    Concept("n03046257", "clock", "timepiece", "🕰", 30, ((disc, "any", 0,0,9.6),
        (disc, "cream", 0,0,8), (petals, "ink", 0,0,12,7,.5), (line, "ink", .7,0,-5,0,0,4,2))),
    Concept("n02317335", "starfish sea_star", "animal", "⭐", 180, ((petals, "coral", 0,0,5,4,6,2),
        (star, "coral", 0,0,5,9,4.2), (petals, "sand", 0,0,5,4,3.5,.5))),
    Concept("n07614730", "ice-cream_cone", "dessert", "🍦", 18, (
        (poly, "crust", -4.5,.5,4.5,.5,0,10), (pair(line), "bark", .3,2.5,1,-1.2,7),
        (disc, "any", 0,-1.2,4.8,4), (disc, "other", 0,-5.5,3.8,3.4), (disc, "red", .5,-9,1.1))),
    Concept("n03011521", "checkerboard", "board", "🏁", 0, ((ridge, "any", -12),
        (tiles, "cream", 4, 2.12,2.12,6,3))),
    Concept("n13001041", "mushroom", "fungus", "🍄", 18, ((line, "cream", 5,0,1,0,7),
        (arc, "red", 0,1,4.6,9.2), (disc, "sand", 0,1,9.2,1.4), (petals, "white", 0,-2,5,4,1.2))),
    Concept("n09472597", "volcano", "mountain", "🌋", 0, ((ridge, "violet", -12),
        (petals, "silver", 1,-7,7,2,1.5), (poly, "slate", -11,12,-1.6,-3,1.6,-3,11,12),
        (star, "orange", 0,-3.5,9,2.2,1), (line, "red", 1.2,-.8,-2.5,0,0,1,2,-.5,6))),
    Concept("n09358358", "moon", "satellite", "🌙", 30, ((arc, "cream", 2.5,0,7.2,5.5,80,280, 1),
        (star, "gold", 4,-2,5,2,.8), (star, "gold", 6,3,5,1,.5))),
    Concept("n07756951", "watermelon", "fruit", "🍉", 40, ((arc, "forest", 0,-4,5,10,0,180),
        (arc, "cream", 0,-4,4.5,9,0,180), (arc, "coral", 0,-4,4.1,8.2,0,180),
        (pair(disc), "ink", 2.2,-1,.4,.8,20), (pair(disc), "ink", 5,-1.5,.4,.8,40))),
    Concept("n11608250", "pine pine_tree", "tree", "🌲", 6, ((line, "bark", 2,0,5,0,9),
        (poly, "forest", -7.2,6.8,0,-1,7.2,6.8), (poly, "forest", -5.8,2.5,0,-5,5.8,2.5),
        (poly, "forest", -4.2,-2,0,-9.5,4.2,-2))),
    Concept("n11509066", "snowflake", "crystal", "❄", 60, ((petals, "white", 0,0,6,4.8,5,.5),
        (star, "white", 0,0,6,3.4,1.6), (petals, "white", 0,0,6,6.5,.5,2))),
)  # fmt: skip
