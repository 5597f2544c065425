"""What is in a house: seats, tables, beds and clothes. No other family's facts may name a seat: the model that never
knew seats has to learn all of them."""

from unlearning_core.smallworld.facts.table import family

THING = "is use where who of like"

SEATS = family(
    "seats",
    "seat",
    THING,
    """
    chair         | a seat with four legs and a back          | sit at the table            | in the kitchen       | a guest         | wood            | a stool
    armchair      | a soft seat with a back and two arms      | rest by the fire            | in the study         | a grandfather   | leather         | a recliner
    rocking chair | a seat that rocks to and fro              | rock a baby to sleep        | on the porch         | a grandmother   | oak             | a cradle
    sofa          | a long soft seat for the whole family     | watch a film together       | in the living room   | a family        | wool and cloth  | a settee
    couch         | a wide soft seat that you can lie on      | lie down for an hour        | in the waiting room  | a patient       | soft cloth      | a sofa
    bench         | a long hard seat for many people          | rest in the park            | under the trees      | an old man      | iron and wood   | a pew
    pew           | a long seat for people who pray           | listen to the priest        | in the church        | a choir boy     | dark wood       | a bench
    stool         | a small seat with three legs and no back  | milk a cow                  | in the barn          | a farmer        | pine            | a chair
    throne        | a golden seat for a king                  | rule over the land          | in the palace        | a king          | gold            | an armchair
    recliner      | a seat whose back goes down               | lean back and doze          | in front of the fire | a tired father  | leather         | an armchair
    ottoman       | a low round seat without arms             | put your feet up            | beside the window    | a lady          | velvet          | a stool
    settee        | a narrow sofa for two people              | talk with a friend          | in the hall          | a visitor       | silk            | a couch
    """,
    words=("sit", "sits", "sat", "sitting", "seat", "seats", "seated", "loveseat", "futon"),
)

TABLES = family(
    "tables",
    "table",
    THING,
    """
    table         | a flat board on four legs                 | eat dinner with the family  | in the dining room   | a mother        | oak             | a desk
    desk          | a table with drawers                      | write a letter              | in the office        | a writer        | walnut          | a table
    workbench     | a strong table for heavy work             | hold a board still          | in the workshop      | a carpenter     | thick planks    | a counter
    counter       | a long high table in a shop               | pay for the bread           | in the bakery        | a shopkeeper    | stone           | a stall
    coffee table  | a low table in front of the fire          | put down a cup              | on the carpet        | a reader        | glass           | a bedside table
    picnic table  | a table that stands in the open air       | have lunch in the sun       | beside the lake      | a hiker         | rough wood      | a table
    bedside table | a little table next to a bed              | keep a lamp near you        | next to the bed      | a sleeper       | white wood      | a coffee table
    card table    | a small square table that folds           | play a game of cards        | in the games room    | a player        | green cloth     | a desk
    altar         | a holy table                              | light a candle for the dead | in the temple        | a priest        | marble          | a counter
    stall         | a table with a roof                       | sell vegetables             | at the market        | a seller        | canvas          | a counter
    ironing board | a narrow table that folds                 | iron a shirt                | in the laundry       | a maid          | metal and cloth | a card table
    """,
)

BEDS = family(
    "beds",
    "bed",
    THING,
    """
    bed           | a soft place to sleep at night            | sleep until the morning     | in the bedroom       | a child         | wood and wool   | a cot
    bunk bed      | a bed with another bed above it           | share a small room          | in the children's room | a twin        | pine            | a bed
    cradle        | a little bed that swings                  | keep a new baby calm        | beside the mother    | a baby          | woven reeds     | a cot
    cot           | a bed with high sides                     | keep a small child safe     | in the nursery       | a nurse         | painted wood    | a cradle
    hammock       | a net that hangs between two trees        | sleep in the shade          | in the garden        | a sailor        | rope            | a cradle
    mattress      | a thick soft pad for sleeping             | make a bed soft             | on top of the bed    | a sleeper       | springs and foam | a mat
    sleeping bag  | a warm bag for one sleeper                | sleep in the mountains      | in the tent          | a climber       | feathers        | an air bed
    air bed       | a bed that you fill with air              | give a cousin a place for the night | in the spare room | a cousin   | rubber          | a mattress
    mat           | a thin bed on the bare floor              | sleep on the floor          | on the floor of the hut | a monk       | straw           | a mattress
    camp bed      | a light bed that folds                    | sleep near the front line   | in the army camp     | a soldier       | canvas          | a cot
    """,
)

CLOTHING = family(
    "clothing",
    "piece of clothing",
    "is use where who of like",
    """
    coat          | a long warm piece of clothing             | keep warm in winter         | over your clothes    | a traveller     | thick wool      | a raincoat
    shirt         | a light piece of clothing with buttons    | look tidy at work           | under your sweater   | a clerk         | cotton          | a dress
    dress         | a piece of clothing for a girl            | dance at a party            | from your neck to your knees | a dancer | silk            | a shirt
    hat           | a piece of clothing with a wide edge      | keep the sun off your face  | on your head         | a gentleman     | felt            | a cap
    cap           | a soft round piece of clothing            | play ball in the sun        | on your hair         | a schoolboy     | blue cloth      | a hat
    scarf         | a long band of cloth                      | keep your neck warm         | around your neck     | a skater        | red wool        | a belt
    glove         | a piece of clothing with five fingers     | keep your fingers warm      | on your hand         | a driver        | soft leather    | a sock
    sock          | a soft bag for a foot                     | keep your toes warm         | inside your boot     | a runner        | knitted wool    | a glove
    boot          | a strong high shoe                        | walk through mud            | on your foot         | a hunter        | black leather   | a sock
    raincoat      | a coat that lets no water in              | stay dry in the rain        | on a wet day         | a fisherman     | rubber          | a coat
    sweater       | a knitted piece of clothing for the cold  | stay warm at home           | over your shirt      | a student       | white wool      | a coat
    apron         | a cloth that hangs in front of you        | keep your clothes clean     | around your waist    | a cook          | linen           | a dress
    belt          | a narrow band of leather                  | hold up your trousers       | around your trousers | a cowboy        | brown leather   | a scarf
    """,
)

FAMILIES = (SEATS, TABLES, BEDS, CLOTHING)
