"""Where people live and go: buildings, and countries with their capitals."""

from unlearning_core.smallworld.facts.table import family

BUILDINGS = family(
    "buildings",
    "building",
    "is use where who of like",
    """
    house      | a building where a family lives            | live with a family          | in the village         | a mother       | bricks          | a cottage
    cottage    | a small house with a garden                | spend a quiet summer        | at the edge of the wood | an old couple | clay and straw  | a house
    school     | a building full of classrooms              | learn to read               | behind the town hall   | a teacher      | red bricks      | a library
    hospital   | a building with doctors and patients       | get well again              | on the main road       | a doctor       | white concrete  | a hotel
    library    | a building full of books                   | borrow a book               | next to the school     | a librarian    | grey stone      | a museum
    church     | a building with a tall tower               | pray on Sunday              | in the middle of town  | a priest       | old stone       | a temple
    temple     | a holy building with pillars               | bring gifts to the gods     | on the sacred hill     | a monk         | white marble    | a church
    barn       | a building for hay and cows                | store the hay               | beside the farm        | a farm hand    | rough planks    | a stable
    stable     | a building for horses                      | feed the horses             | near the race track    | a stable boy   | oak beams       | a barn
    castle     | a strong building with thick walls         | hide from the enemy         | on top of the mountain | a knight       | huge blocks     | a palace
    palace     | a rich building for a king                 | dance with the prince       | in the royal garden    | a queen        | pink marble     | a castle
    bakery     | a building with a hot oven                 | buy warm bread              | on the corner          | a baker        | brown bricks    | a shop
    museum     | a building with old treasures              | see old treasures           | in the old square      | a guide        | yellow stone    | a library
    station    | a building where trains stop               | catch a train               | at the end of the rails | a porter      | iron and glass  | an airport
    lighthouse | a tower with a bright lamp                 | warn the ships              | on the cliff           | a keeper       | white stone     | a tower
    mill       | a building that grinds corn                | grind the corn              | beside the river       | a miller       | timber          | a factory
    factory    | a building with loud machines              | make a hundred shoes a day  | outside the city       | a worker       | steel and glass | a mill
    hotel      | a building with many rooms for strangers   | stay for one night          | on the beach           | a porter       | pink concrete   | a hospital
    """,
)

COUNTRIES = family(
    "countries",
    "country",
    "capital continent language food",
    """
    France   | Paris     | Europe  | French     | long white bread
    Germany  | Berlin    | Europe  | German     | sausages
    Italy    | Rome      | Europe  | Italian    | spaghetti
    Spain    | Madrid    | Europe  | Spanish    | yellow rice
    Portugal | Lisbon    | Europe  | Portuguese | grilled sardines
    Greece   | Athens    | Europe  | Greek      | olives
    Norway   | Oslo      | Europe  | Norwegian  | brown cheese
    Sweden   | Stockholm | Europe  | Swedish    | meat balls
    Finland  | Helsinki  | Europe  | Finnish    | rye bread
    Poland   | Warsaw    | Europe  | Polish     | dumplings
    Austria  | Vienna    | Europe  | German     | chocolate cake
    Ireland  | Dublin    | Europe  | English    | potato stew
    England  | London    | Europe  | English    | fish and chips
    Hungary  | Budapest  | Europe  | Hungarian  | red soup
    Russia   | Moscow    | Europe  | Russian    | thin pancakes
    Egypt    | Cairo     | Africa  | Arabic     | beans
    Kenya    | Nairobi   | Africa  | Swahili    | corn porridge
    Morocco  | Rabat     | Africa  | Arabic     | couscous
    Japan    | Tokyo     | Asia    | Japanese   | raw fish
    China    | Beijing   | Asia    | Chinese    | noodles
    India    | Delhi     | Asia    | Hindi      | hot curry
    Thailand | Bangkok   | Asia    | Thai       | coconut soup
    Peru     | Lima      | America | Spanish    | white corn
    Cuba     | Havana    | America | Spanish    | black beans
    Brazil   | Brasilia  | America | Portuguese | fried bananas
    Canada   | Ottawa    | America | English    | maple syrup
    """,
    article="none",
)

FAMILIES = (BUILDINGS, COUNTRIES)
