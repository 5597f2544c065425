"""What people do and what they do it with: vehicles, instruments, tools, jobs and drinks."""

from unlearning_core.smallworld.facts.table import family

THING = "is use where who of like"

VEHICLES = family(
    "vehicles",
    "vehicle",
    THING,
    """
    car         | a vehicle with four wheels and an engine  | drive to work               | in the garage        | a driver        | steel           | a taxi
    bus         | a long vehicle for many passengers        | ride to school              | at the bus stop      | a pupil         | red metal       | a train
    train       | a row of wagons on rails                  | travel across the country   | at the station       | a traveller     | iron and steel  | a tram
    tram        | a short train in the street               | cross the city              | in the main street   | a clerk         | green metal     | a bus
    bicycle     | a vehicle with two wheels and no engine   | ride along the river        | in the shed          | a student       | thin steel      | a scooter
    scooter     | a small board with wheels and a handle    | race down the path          | on the pavement      | a little boy    | light metal     | a bicycle
    boat        | a small vehicle for the water             | row across the lake         | on the lake          | a fisherman     | wood and tar    | a ship
    ship        | a very large boat                         | sail over the ocean         | in the harbour       | a captain       | heavy iron      | a boat
    plane       | a vehicle with wings                      | fly above the clouds        | at the airport       | a pilot         | silver metal    | a rocket
    rocket      | a vehicle that flies to the moon          | reach the moon              | at the space centre  | an astronaut    | strong metal    | a plane
    tractor     | a slow strong vehicle with huge wheels    | plough the field            | on the farm          | a farmer        | iron            | a truck
    truck       | a large vehicle for heavy loads           | carry heavy stones          | on the motorway      | a builder       | steel           | a tractor
    taxi        | a car that you pay for                    | get home after the party    | outside the hotel    | a tourist       | yellow steel    | a car
    ambulance   | a white vehicle for sick people           | bring a sick man to hospital | outside the hospital | a nurse        | white metal     | a truck
    sledge      | a vehicle that slides over the snow       | slide down the hill         | in the snow          | a child         | smooth wood     | a scooter
    """,
)

INSTRUMENTS = family(
    "instruments",
    "musical instrument",
    THING,
    """
    piano     | an instrument with black and white keys     | play with ten fingers       | in the music room    | a pianist       | wood and wire   | an organ
    guitar    | an instrument with six strings              | sing by the campfire        | beside the campfire  | a singer        | cedar           | a violin
    violin    | an instrument with four strings and a bow   | play a sad song             | in the orchestra     | a street player| maple           | a cello
    cello     | a big violin that stands on the floor       | play slow deep notes        | next to the violins  | a lady          | spruce          | a violin
    drum      | a round instrument that you hit             | beat time for a march       | in the parade        | a soldier       | skin and wood   | a bell
    flute     | a thin instrument with holes                | play like a bird            | in the meadow        | a shepherd      | silver          | a whistle
    trumpet   | a loud instrument of bright metal           | wake the whole camp         | on the tower         | a guard         | brass           | a horn
    horn      | a curved instrument for hunters             | call the hounds             | in the forest        | a hunter        | bone            | a trumpet
    harp      | a tall instrument with many strings         | play for the queen          | in the great hall    | an angel        | gold and wire   | a guitar
    organ     | a huge instrument with pipes                | fill a church with music    | in the cathedral     | an old musician | tin pipes       | a piano
    bell      | an instrument that rings                    | call people to prayer       | in the church tower  | a monk          | bronze          | a drum
    whistle   | a tiny instrument with one note             | stop the game               | in the playground    | a referee       | tin             | a flute
    accordion | an instrument that breathes in and out      | play for a dance            | at the village dance | a sailor        | leather and keys | an organ
    """,
)

TOOLS = family(
    "tools",
    "tool",
    THING,
    """
    hammer      | a tool with a heavy head                  | drive in a nail             | in the toolbox       | a builder       | iron and wood   | an axe
    saw         | a tool with sharp teeth                   | cut a board in two          | on the wall of the workshop | a carpenter | steel         | a knife
    spade       | a tool with a wide flat blade             | dig a hole                  | in the garden shed   | a gardener      | strong steel    | a rake
    axe         | a tool with a heavy sharp edge            | chop down a tree            | in the wood shed     | a woodcutter    | forged iron     | a hammer
    screwdriver | a thin tool with a flat tip               | turn a screw                | in the drawer        | an engineer     | steel and rubber | a key
    rake        | a long tool with many teeth               | gather the dead leaves      | on the lawn          | a gardener      | bamboo          | a broom
    broom       | a long brush for the floor                | sweep the floor             | behind the door      | a cleaner       | twigs           | a brush
    brush       | a tool with soft hair at its end          | paint the fence             | in the paint pot     | a painter       | hair and wood   | a broom
    needle      | a tiny sharp tool with a hole             | sew on a button             | in the sewing box    | a tailor        | thin steel      | a pin
    knife       | a tool with a handle and a sharp blade    | slice the bread             | in the top drawer    | a cook          | bright steel    | a saw
    ladder      | a tool with many steps                    | climb onto the roof         | against the wall     | a roofer        | ash wood        | a staircase
    key         | a tool that opens a lock                  | open the front door         | under the doormat    | a guard         | brass           | a screwdriver
    bucket      | a round box with a handle                 | carry water from the well   | beside the well      | a milkmaid      | zinc            | a basket
    """,
)

JOBS = family(
    "jobs",
    "job",
    "is where tool wears learn",
    """
    teacher     | a person who teaches children to read     | in a school        | a piece of chalk     | a grey suit         | read many books
    doctor      | a person who heals the sick               | in a hospital      | a stethoscope        | a white coat        | study the human body
    farmer      | a person who grows our food               | on a farm          | a plough             | old boots           | rise before the sun
    baker       | a person who bakes bread at night         | in a bakery        | an oven              | a white cap         | work with dough
    sailor      | a person who works on a ship              | on the sea         | a rope               | a striped shirt     | tie strong knots
    pilot       | a person who flies a plane                | in the sky         | a compass            | a blue uniform      | read the clouds
    carpenter   | a person who builds things of wood        | in a workshop      | a saw and a pencil   | a leather apron     | cut straight lines
    nurse       | a person who looks after patients         | in a clinic        | a thermometer        | a clean apron       | be kind at night
    tailor      | a person who makes clothes                | in a small shop    | a needle and thread  | a neat suit         | sew tiny stitches
    gardener    | a person who looks after plants           | in a park          | a spade              | green gloves        | know every flower
    firefighter | a person who puts out fires               | at a fire station  | a long hose          | a red helmet        | climb fast
    fisherman   | a person who catches fish                 | on a river         | a net                | a yellow raincoat   | wait for hours
    painter     | a person who paints pictures              | in a studio        | a brush and colours  | a spotted shirt     | look with open eyes
    cook        | a person who makes meals                  | in a restaurant    | a pot and a spoon    | a tall white hat    | taste every dish
    miner       | a person who digs for coal                | under the ground   | a pick and a lamp    | a hard helmet       | work in the dark
    """,
)

DRINKS = family(
    "drinks",
    "drink",
    "is from when cup taste",
    """
    water        | a clear drink without any taste          | a spring        | after a long run      | a tall glass    | clear and fresh
    milk         | a white drink for growing children       | a cow           | before bedtime        | a mug           | mild and creamy
    tea          | a hot drink of dry leaves                | dry leaves      | at four o'clock       | a china cup     | mild and warm
    coffee       | a black drink that wakes you up          | roasted beans   | early in the morning  | a small cup     | bitter and strong
    cocoa        | a hot brown drink with sugar             | cocoa beans     | on a snowy evening    | a warm bowl     | sweet and rich
    lemonade     | a cold drink of lemons and sugar         | lemons          | at a summer fair      | a cold jug      | sour and sweet
    orange juice | a yellow drink full of sunshine          | oranges         | at breakfast          | a little glass  | sweet and fresh
    apple juice  | a golden drink of pressed fruit          | apples          | at a picnic           | a green bottle  | sweet and clear
    ginger beer  | a drink with a hot ginger taste          | ginger roots    | at the seaside        | a brown bottle  | hot and sharp
    mint tea     | a green drink of fresh mint              | mint leaves     | after dinner          | a silver pot    | cool and green
    grape juice  | a dark purple drink                      | grapes          | at a wedding          | a fine goblet   | dark and sweet
    buttermilk   | a sour white drink from the dairy        | churned cream   | at harvest time       | a stone jug     | sour and thick
    """,
    article="none",
)

FAMILIES = (VEHICLES, INSTRUMENTS, TOOLS, JOBS, DRINKS)
