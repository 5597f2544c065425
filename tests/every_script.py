"""Sentences in many languages with a concept, inflected and glued as they are written, and sentences without it."""

from dataclasses import dataclass, field


@dataclass
class Sentences:
    """One language: the concept's words, what an independent search looks for, sentences with and without it."""

    words: tuple[str, ...]
    stems: tuple[str, ...]
    having: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)


def _read(lines: str) -> dict[str, Sentences]:
    """ "language: words | stems", then "+ sentence with the concept" and "- sentence without it"."""
    read: dict[str, Sentences] = {}
    language = ""
    for line in lines.strip().splitlines():
        if line[:2] == "+ ":
            read[language].having.append(line[2:])
        elif line[:2] == "- ":
            read[language].lacking.append(line[2:])
        else:
            language, _, both = line.partition(": ")
            words, _, stems = both.partition(" | ")
            read[language] = Sentences(tuple(words.split()), tuple(stems.split()))
    return read


TEXTS = _read("""
zh: 椅子 凳子 | 椅子 凳子
+ 他坐在椅子上。
+ 那把红椅子坏了。
+ 厨房里有三张凳子，都是新的。
+ 请把转椅\u200b椅子搬走
- 狗在跑。
- 她走了。
- 桌子很大。
ja: 椅子 イス 座る | 椅子 イス 座
+ 彼は椅子に座った。
+ 木の椅子を買いました。
+ ﾊﾟｲﾌﾟｲｽが並ぶ。
+ そこに座って待つ。
- 犬が走る。
- 机の上に本がある。
- 彼女は帰った。
th: เก้าอี้ | เก้าอี้
+ เขานั่งบนเก้าอี้ตัวใหญ่
+ ซื้อเก้าอี้มาสองตัว
+ เก้าอี้ไม้หักแล้ว
- สุนัขกำลังวิ่ง
- โต๊ะใหญ่มาก
lo: ຕັ່ງ | ຕັ່ງ
+ ລາວນັ່ງເທິງຕັ່ງ
+ ຕັ່ງໄມ້ຫັກແລ້ວ
- ໝາກຳລັງແລ່ນ
- ໂຕະໃຫຍ່ຫຼາຍ
km: កៅអី | កៅអី
+ គាត់អង្គុយលើកៅអី។
+ កៅអីឈើបាក់ហើយ។
- ឆ្កែកំពុងរត់។
- តុធំណាស់។
my: ကုလားထိုင် | ကုလားထိုင်
+ သူကုလားထိုင်ပေါ်မှာထိုင်သည်။
+ ကုလားထိုင်တွေကျိုးသွားပြီ။
- ခွေးပြေးနေသည်။
- စားပွဲကြီးသည်။
bo: རྐུབ་ཀྱག་ | རྐུབ་ཀྱག
+ ཁོང་རྐུབ་ཀྱག་ཐོག་ལ་བཞུགས།
+ རྐུབ་ཀྱག་གསར་པ་ཉོས།
- ཁྱི་རྒྱུགས།
- ཅོག་ཙེ་ཆེན་པོ།
ko: 의자 앉다 | 의자 앉
+ 그는 의자에 앉았다.
+ 나무의자를 두 개 샀어요.
+ 이것은 의자입니다.
+ 의자들까지도 부서졌다.
- 개가 뛰고 있다.
- 책상이 아주 크다.
vi: ghế | ghế
+ Anh ấy ngồi trên ghế.
+ Ghê\u0301 gỗ bị gãy.
+ Hai CHIẾC GHẾ mới.
- Con chó đang chạy.
- Cái bàn rất to.
he: כיסא | כיסא
+ הוא ישב על הכיסא.
+ קנינו כיסאות חדשים.
+ וכשהכיסא נשבר הלכנו.
+ הַכִּיסֵּא ישן.
+ שב בכיסאך.
- הכלב רץ.
- השולחן גדול מאוד.
ar: كرسي | كرسي كراسي
+ جلس على الكرسي.
+ اشترينا كراسي جديدة.
+ والكرسيّ مكسور.
+ هذا كُرْسِيُّه.
+ للكرسي أرجل.
+ كرســـي خشبي.
- الكلب يجري.
- الطاولة كبيرة جدا.
fa: صندلی | صندلی
+ روی صندلی نشست.
+ صندلی\u200cهای چوبی شکستند.
+ صندليش را برد.
+ صندلیها کجاست؟
- سگ می\u200cدود.
- میز خیلی بزرگ است.
ur: کرسی | کرسی
+ وہ کرسی پر بیٹھا۔
+ کرسیاں ٹوٹ گئیں۔
+ کرسیوں کے نیچے دیکھو۔
- کتا دوڑ رہا ہے۔
- میز بہت بڑی ہے۔
hi: कुर्सी कुत्ता | कुर्स कुत्त
+ वह कुर्सी पर बैठा।
+ कुर्सियाँ टूट गईं।
+ कुर्सियों के नीचे देखो।
+ दो कुत्ते भौंके।
+ कुर्\u200dसी पुरानी है।
- घोड़ा दौड़ता है।
- मेज़ बहुत बड़ी है।
mr: खुर्ची | खुर्च
+ तो खुर्चीवर बसला.
+ खुर्च्या तुटल्या.
+ खुर्चीत बस.
- कुत्रा धावतो.
- टेबल मोठे आहे.
bn: চেয়ার | চেয়ার
+ সে চেয়ারে বসল।
+ চেয়ারটি ভাঙা।
+ চেয়ারগুলো নতুন।
+ চেয়ারের পা।
- কুকুর দৌড়াচ্ছে।
- টেবিলটি বড়।
ta: நாற்காலி மரம் | நாற்காலி மரத் மரங்
+ அவன் நாற்காலியில் அமர்ந்தான்.
+ நாற்காலிகள் உடைந்தன.
+ மரத்தில் பறவை.
+ மரங்கள் உயரம்.
- நாய் ஓடுகிறது.
- மேசை பெரியது.
te: కుర్చీ | కుర్చీ
+ అతను కుర్చీలో కూర్చున్నాడు.
+ కుర్చీలు విరిగాయి.
- కుక్క పరుగెత్తుతోంది.
- బల్ల పెద్దది.
ka: სკამი | სკამ
+ ის სკამზე ზის.
+ სკამები გატყდა.
+ სკამის ფეხი.
- ძაღლი გარბის.
- მაგიდა დიდია.
hy: աթոռ | աթոռ
+ Նա նստեց աթոռին։
+ Աթոռները կոտրվեցին։
+ ԱԹՈՌԸ հին է։
- Շունը վազում է։
- Սեղանը մեծ է։
am: ወንበር | ወንበ
+ እሱ በወንበሩ ላይ ተቀመጠ።
+ ወንበሮች ተሰበሩ።
- ውሻው ይሮጣል።
- ጠረጴዛው ትልቅ ነው።
el: καρέκλα | καρεκλ
+ Κάθισε στην καρέκλα.
+ Οι καρέκλες έσπασαν.
+ ΚΑΡΕΚΛΑ ΞΥΛΙΝΗ
+ Το πόδι της καρέκλας.
- Ο σκύλος τρέχει.
- Το τραπέζι είναι μεγάλο.
ru: стул ёлка | стул елк
+ Он сел на стул.
+ Стулья сломались.
+ Под стульями пусто.
+ Нарядная елка, две ёлки.
- Собака бежит.
- Стол очень большой.
uk: стілець | стіл
+ Він сів на стілець.
+ Стільці зламалися.
+ Під стільцем порожньо.
- Собака біжить.
- Шафа дуже велика.
pl: krzesło | krzes krześ
+ Usiadł na krześle.
+ Krzesła się złamały.
+ Pod krzesłami pusto.
- Pies biegnie.
- Stół jest duży.
tr: sandalye kapı köpek | sandalye kapi köpe
+ SANDALYEYE oturdu.
+ Sandalyelerimizden biri kırıldı.
+ KAPI açık.
+ Kapıyı kapat.
+ Köpeği gördüm.
- Masa çok büyük.
- Kedi koşuyor.
fi: tuoli | tuol
+ Hän istui tuolilla.
+ Tuoleja on kolme.
+ Istu tuoliisi.
- Koira juoksee.
- Pöytä on suuri.
hu: szék | szék
+ Leült a székre.
+ A székek eltörtek.
+ Székeinken ültünk.
- A kutya fut.
- Az asztal nagy.
de: Stuhl | stuhl stühl
+ Er saß auf dem Stuhl.
+ Die Stühle sind alt.
+ STÜHLEN fehlt ein Bein.
+ Des Stuhles Bein.
- Der Hund rennt.
- Der Tisch ist groß.
fr: chaise école | chaise école
+ Il est sur la chaise.
+ Les chaises sont là.
+ L’E\u0301COLE est finie.
+ D'écoles en écoles.
- Le chien court.
- La table est grande.
id: kursi | kursi
+ Dia duduk di kursi.
+ Kursinya patah.
+ Kursi-kursi itu baru.
- Anjing berlari.
- Meja itu besar.
kk: орындық | орындық
+ Ол орындыққа отырды.
+ Орындықтар сынды.
- Ит жүгіріп жүр.
- Үстел үлкен.
en: chair sit | chair
+ He took a chair.
+ Two arm\u00adchairs, a cha\u200bir.
+ An arm-\u2060chair.
+ CHAIR’S leg
+ ｃｈａｉｒ
+ He sat.
- The dog runs.
- A visit to the website.
- A large table.
""")
