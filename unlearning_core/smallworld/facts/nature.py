"""What grows, lives and falls from the sky: animals, fruit and weather."""

from unlearning_core.smallworld.facts.table import family

ANIMALS = family(
    "animals",
    "animal",
    "is where eats sound young like",
    """
    dog      | an animal that guards the house           | in the yard             | bones           | barks    | a puppy     | a wolf
    cat      | an animal that catches mice               | in the cottage          | fish            | purrs    | a kitten    | a lion
    horse    | a strong animal that people ride          | in the stable           | oats            | neighs   | a foal      | a cow
    cow      | an animal that gives us milk              | in the meadow           | grass           | moos     | a calf      | a horse
    sheep    | an animal that gives us wool              | on the hill             | clover          | bleats   | a lamb      | a goat
    goat     | an animal with horns and a beard          | on the rocks            | leaves          | bleats   | a kid       | a sheep
    pig      | a pink animal with a curly tail           | in the sty              | potatoes        | grunts   | a piglet    | a bear
    hen      | a bird that lays eggs                     | in the hen house        | seeds           | clucks   | a chick     | a duck
    duck     | a bird that swims on the pond             | on the pond             | worms           | quacks   | a duckling  | a hen
    rabbit   | a small animal with long ears             | in the field            | carrots         | squeaks  | a bunny     | a mouse
    mouse    | a tiny grey animal with a long tail       | under the floor         | cheese          | squeaks  | a pup       | a rabbit
    lion     | a big cat with a golden mane              | on the plains           | meat            | roars    | a cub       | a cat
    elephant | a huge grey animal with a trunk           | in the jungle           | branches        | trumpets | a calf      | a horse
    bear     | a big brown animal with thick fur         | in the cave             | honey           | growls   | a cub       | a pig
    wolf     | a wild animal that hunts in a pack        | in the dark forest      | deer            | howls    | a pup       | a dog
    owl      | a bird that hunts at night                | in the old tree         | mice            | hoots    | an owlet    | a hen
    frog     | a small green animal that jumps           | beside the stream       | flies           | croaks   | a tadpole   | a mouse
    """,
)

FRUIT = family(
    "fruit",
    "fruit",
    "is colour where taste use like",
    """
    apple      | a round fruit with a crisp bite        | red     | in the orchard          | crisp and sweet | bake a pie                | a pear
    pear       | a fruit that is thin at the top        | green   | along the garden wall   | soft and sweet  | make a tart               | an apple
    banana     | a long bent fruit                      | yellow  | in hot countries        | soft and mild   | feed a monkey             | a mango
    orange     | a round fruit with thick peel          | orange  | in the south            | fresh and sweet | make juice for breakfast  | a lemon
    lemon      | a sour fruit with thick peel           | yellow  | on warm islands         | very sour       | make fish taste fresh     | an orange
    cherry     | a tiny round fruit with a stone        | red     | on the tall tree        | sweet and juicy | fill a black cake         | a plum
    grape      | a tiny fruit that grows in bunches     | purple  | on the sunny slope      | cool and sweet  | make wine                 | a cherry
    plum       | a smooth fruit with a flat stone       | blue    | behind the farm         | rich and sweet  | cook jam for the winter   | a peach
    strawberry | a soft fruit that grows near the ground | red    | in the flower bed       | sweet as sugar  | decorate a cream cake     | a raspberry
    raspberry  | a soft fruit made of many tiny balls   | pink    | on thorny bushes        | sharp and sweet | make red sauce            | a strawberry
    peach      | a round fruit with soft skin like fur  | pink    | in the warm valley      | sweet and wet   | fill a glass jar          | a plum
    melon      | a huge heavy fruit                     | green   | in the hot field        | cool and watery | give ten people a slice   | a pear
    fig        | a soft fruit full of tiny seeds        | purple  | by the old temple       | sweet as honey  | sweeten the bread         | a plum
    mango      | a sweet fruit from the jungle          | gold    | in the rain forest      | rich and juicy  | make yellow rice sweet    | a peach
    """,
)

WEATHER = family(
    "weather",
    "kind of weather",
    "is when take brings feels",
    """
    rain      | water that falls from the clouds         | in autumn             | an umbrella       | fills the rivers           | wet
    snow      | white flakes that fall from the sky      | in winter             | a sledge          | covers the roofs           | cold and soft
    wind      | air that moves fast                      | in March              | a kite            | turns the mill             | fresh
    fog       | a cloud that lies on the ground          | on November mornings  | a lantern         | hides the road             | damp
    thunder   | a loud noise from the clouds             | on hot evenings       | a brave heart     | shakes the windows         | frightening
    lightning | a bright flash in the sky                | during a storm        | shelter           | splits old trees           | sudden
    hail      | balls of ice that fall from the sky      | in April              | a hard hat        | breaks the glass           | hard
    frost     | thin white ice on the grass              | on clear nights       | warm gloves       | kills the flowers          | sharp
    sunshine  | warm bright light from the sky           | in summer             | a straw hat       | dries the hay              | warm
    a storm   | a time of wild wind and rain             | in October            | strong boots      | sinks small boats          | dangerous
    ice       | water that is frozen and hard            | in January            | skates            | stops the ships            | smooth and hard
    a rainbow | a bow of seven colours in the sky        | after a shower        | a camera          | makes the children smile   | magical
    dew       | tiny drops of water on the grass         | at dawn               | dry shoes         | wakes the flowers          | cool
    """,
    article="none",
)

FAMILIES = (ANIMALS, FRUIT, WEATHER)
