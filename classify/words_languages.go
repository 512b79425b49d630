package classify

// foreignWords are further words of senseWords, by sense, in the languages that
// devices and their software are written in: German, Spanish, French, Italian,
// Portuguese, Dutch, Polish, the Scandinavian ones, Turkish, Chinese, Japanese,
// Korean, Russian. Words that mean something else in the keys of machines
// (Breite is a width, tension a voltage, cliente one of MQTT) are left out, and a
// word for "name" alone names things.
var foreignWords = []struct {
	sense sense
	words string
}{
	{senseShield, `modbusadresse geräteadresse geraeteadresse busadresse busadres
		ipadresse macadresse druckpunkt diagnosecode fehlerdiagnose`},
	{senseName, `nombre nome naam имя 名前 이름 bezeichnung gerätename geraetename`},

	{sensePersonName, `kundenname patientenname fahrername besitzername mitarbeitername inhabername bewohnername
		prénom nompatient nomclient nomconducteur nomutilisateur
		primerapellido segundoapellido primernombre nombrecliente nombrepaciente nombreconductor
		nomecognome nominativo nomecompleto primeironome nomecliente nomepaciente
		klantnaam volledigenaam imię imieinazwisko fornamn efternamn etternavn fullständigtnamn
		adsoyad soyisim soyadi soyadı 患者名 運転手名 苗字 お名前 顧客名 担当者名 来訪者名 성함 고객명 환자명
		имяклиента имяпациента`},
	{sensePerson, `eigentümer eigentuemer halter bewohner patientin besucher dueño dueno paciente empleado visitante
		propriétaire employe employé visiteur proprietario conducente paziente dipendente visitatore
		eigenaar bestuurder bezoeker medewerker wlasciciel właściciel kierowca pacjent pracownik
		所有者 運転者 患者 社員 来訪者 顧客 소유자 운전자 환자 직원 방문자 고객 владелец водитель пациент сотрудник посетитель`},
	{senseUser, `benutzer benutzername usuario utilisateur identifiant utente usuário gebruiker gebruikersnaam uzytkownik użytkownik
		kullanici kullanıcı ユーザー ユーザー名 사용자 пользователь логин`},
	{senseEmail, `epost epostadresse mailadresse emailadresse adressemail adresseemail correoelectronico correoelectrónico
		postaelettronica eposta 邮箱地址 電子メール メールアドレス 이메일 почта электроннаяпочта`},
	{sensePhone, `handynummer mobilnummer handy rufnummer móvil movil celular numerodetelefono númerodeteléfono teléfono
		téléphone numerodetelephone numérodetéléphone numtel cellulare numeroditelefono telemovel telemóvel
		telefoonnummer mobielnummer numertelefonu telefonnumarasi ceptelefonu
		電話 携帯 携帯番号 携帯電話 联系方式 휴대폰 휴대전화 연락처 номертелефона мобильный`},
	{senseAddress, `hausnummer wohnanschrift wohnort lieferadresse rechnungsadresse dirección domicilio calle adressepostale domicile
		residenza endereco endereço morada logradouro straat woonadres ulica gatuadress 番地 улица домашнийадрес`},
	{senseCity, `ort stadt ciudad ville codepostal codigopostal códigopostal citta città cidade cep miejscowosc kodpocztowy
		postnummer poststed 城市 郵便番号 都道府県 市区町村 우편번호 город индекс`},
	{senseBirth, `geburtstag fechadenacimiento fechanacimiento datedenaissance datenaissance datadinascita datanascita
		datanascimento datadenascimento geboortedatum dataurodzenia födelsedatum fødselsdato dogumtarihi doğumtarihi
		生年月日 誕生日 생년월일 생일 датарождения`},
	{senseAge, `edad idade leeftijd wiek ålder yaş 年齢 나이 возраст`},
	{senseGender, `geschlecht sexo sexe sesso geslacht cinsiyet 性別 성별`},
	{senseChild, `schueler schüler kinder niño niños alumno enfant enfants élève bambino bambini alunno criança crianças aluno
		leerling dziecko ученик ребенок дети 児童 子供 園児 生徒 어린이 아동`},
	{senseSpecial, `konfession religionszugehörigkeit religionszugehoerigkeit gewerkschaft gewerkschaftsmitglied religión sindicato etnia
		orientacionsexual orientaciónsexual syndicat appartenancesyndicale ethnie orientationsexuelle religione sindacato religião
		vakbond religia religie 信仰 労働組合 政治的見解 종교 노동조합 религия вероисповедание`},

	{senseNationalID, `personalausweisnummer ausweisnr cedula cédula documentoidentidad documentodeidentidad numerodocumento cni
		cartadidentita numerocartaidentita burgerservicenummer dowodosobisty numerdowodu henkilötunnus henkilotunnus
		tckimlik tckimlikno kimlikno 個人番号 주민번호 외국인등록번호 снилс инн удостоверениеличности`},
	{senseTaxID, `steueridnr steuernr numerodetva partitaiva nip vergino 納税者番号 사업자등록번호`},
	{senseSSN, `sozialversicherung numerodesecuritesociale numsecu securitesociale numerosegurosocial seguridadsocial
		numerodeseguridadsocial ahvnummer ahv`},
	{sensePassport, `passnummer reisepassnummer numeropasaporte numerodepasaporte numeropasseport numeropassaporto passaporte
		paspoort paspoortnummer paszport numerpaszportu pasaport パスポート パスポート番号 旅券番号 여권 여권번호 паспорт номерпаспорта`},
	{senseDriver, `führerscheinnummer fuehrerscheinnummer numeropermis permisconduire licenciadeconducir carnetdeconducir rijbewijs
		rijbewijsnummer prawojazdy körkort ehliyet 驾驶证号 運転免許 運転免許証番号 免許証番号 운전면허 운전면허번호 водительскоеудостоверение`},
	{sensePatient, `patientennummer numeropaciente numeropatient 患者番号 診察券番号 환자번호 номерпациента`},
	{sensePlate, `matrícula placas numeroplaca plaquedimmatriculation numeroimmatriculation numerotarga tablicarejestracyjna
		numerrejestracyjny nummerplade regnummer registreringsnummer plaka 车牌号牌 ナンバー 車両番号 車両ナンバー 登録番号
		번호판 차량등록번호 номеравто номернойзнак`},
	{senseVIN, `fahrzeugidentifikationsnummer numerodechasis numerobastidor bastidor numerotelaio chassi numerochassi 車台番号 차대번호`},
	{senseVehicle, `auto voiture véhicule vehicule vehículo coche carro voertuig pojazd samochod araç 車両 차량 автомобиль`},

	{senseDevice, `gerät geraet geräte dispositivo appareil apparaat urzadzenie urządzenie cihaz デバイス 装置 端末 장치 기기 устройство датчик センサー 센서 传感器 网关`},
	{senseSerial, `numerodeserie númerodeserie numérodesérie numerodiserie serienummer numerseryjny serinumarasi serino 製造番号 시리얼번호 серийныйномер`},
	{senseVersion, `fwversion versión versão バージョン 버전 версия 固件版本`},

	{senseCard, `kreditkartennummer kartennummer numerotarjeta numerodetarjeta tarjetadecredito numerocarte numerodecarte cartacredito
		cartadicredito numerocarta cartão cartaocredito numerocartao creditcardnummer numerkarty kortnummer
		クレジットカード クレジットカード番号 カード番号 카드번호 신용카드 номеркарты`},
	{senseAccount, `kontonr numerocuenta numerodecompte numerocompte numeroconto numeroconta rekeningnummer numerkonta hesapno
		口座番号 계좌번호 номерсчета`},

	{sensePassword, `clave contraseñas claveacceso mdp hasło lösenord losenord adgangskode passord sifre şifre
		暗証番号 비밀번호 암호 wlankennwort wlanpasswort wlanschlüssel wlanschluessel clavewifi motdepassewifi wifi密码 wifi密碼 密碼`},
	{senseSecret, `clavesecreta claveprecompartida cléwifi clewifi geheimerschlüssel gemeinsamerschlüssel 共有鍵 暗号鍵 비밀키 ключшифрования секрет`},
	{sensePrivateKey, `cléprivée cleprivee claveprivada privaterschlüssel privaterschluessel 秘密鍵 개인키 закрытыйключ`},
	{senseToken, `jeton トークン 토큰 токен`},

	{senseLat, `latitudine szerokoscgeograficzna enlem breddegrad 위도`},
	{senseLon, `longitudine dlugoscgeograficzna boylam lengdegrad 경도`},
	{senseCoordinates, `koordinaten coordenadas coordonnées coordonnees coordinate 座標 좌표 координаты`},
	{senseGeo, `standort ubicacion ubicación localisation localizacion localización localizacao localização locatie konum 位置情報 위치 местоположение`},
	{senseTime, `zeit zeitstempel uhrzeit datum fecha hora heure horodatage czas tarih 時刻 日時 시각 시간 время`},
	{senseCamera, `kamera cámara camara caméra telecamera カメラ 카메라 камера`},
	{sensePlace, `raum zimmer bereich stockwerk habitación habitacion pièce stanza kamer pomieszczenie 部屋 방 комната 门 路口`},
	{sensePresence, `anwesenheit anwesend zuhause presencia ocupacion ocupación présence presenza aanwezigheid obecnosc obecność
		在宅 在室 人感 재실 присутствие`},

	{senseTemperature, `temperatur temperatura température temperatuur 温度 온도 температура`},
	{senseMachine, `maschine antrieb getriebe kessel pumpe máquina bomba moteur pompe macchina silnik motore 室温 水温 油温 설비 двигатель насос котел`},
	{senseHealth, `herzfrequenz herzschlag blutdruck blutzucker sauerstoffsättigung sauerstoffsaettigung körpertemperatur
		koerpertemperatur körpergewicht koerpergewicht blutgruppe medikament medikamente medikation
		frecuenciacardiaca frecuenciacardíaca ritmocardiaco presionarterial presiónarterial glucosa glucemia temperaturacorporal medicamento
		frequencecardiaque fréquencecardiaque pouls pressionarterielle tensionarterielle glycemie glycémie temperaturecorporelle médicament
		frequenzacardiaca pressionearteriosa glicemia temperaturacorporea frequenciacardiaca frequênciacardíaca pressaoarterial glicose
		hartslag bloeddruk bloedsuiker lichaamstemperatuur tętno tetno cisnieniekrwi hjärtfrekvens hjerterytme blodtryck blodtrykk blodsocker
		kroppstemperatur nabız nabiz tansiyon kanşekeri 心拍数 心拍 血圧 体温 血糖値 酸素飽和度 歩数 診断 혈압 체온 혈당 산소포화도 체중 걸음수 진단
		артериальноедавление температуратела сахарвкрови частотапульса`},
	{senseHealthWeak, `puls pulso peso poids gewicht пульс вес 脈拍 맥박`},
	{senseBody, `patient paciente pacjent 患者 환자 пациент pulsera armband krankenhaus hospital`},

	{senseFace, `gesicht gesichtserkennung rostro cara reconocimientofacial visage reconnaissancefaciale volto riconoscimentofacciale лицо 顔認証 얼굴인식`},
	{senseImage, `bild foto imagen immagine imagem afbeelding zdjecie 画像 写真 사진 изображение`},
	{senseBadge, `ausweiskarte zutrittskarte mitarbeiternummer personalnummer numeroempleado matricule 社員番号 사원번호 табельныйномер`},
}
