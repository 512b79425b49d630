package classify

// senseWords is the dictionary as data: one row a sense. Words are written
// normalized (lower case, the words of a phrase run together) and separated by
// spaces; a plural s and digits at the end need no row of their own. A row with
// senseNone shields a phrase from a shorter word that ends it: a clientToken of
// a device shadow is no token.
var senseWords = []struct {
	sense sense
	words string
}{
	{senseShield, `sourcetoken videosourcetoken videosourceconfigurationtoken videoanalyticsconfigurationtoken analyticstoken
		audiosourcetoken configurationtoken profiletoken mediaprofiletoken recordingtoken recordingjobtoken tracktoken
		inputtoken digitalinputtoken relaytoken outputtoken accesspointtoken doortoken areatoken scheduletoken
		receivertoken encodertoken clienttoken csrftoken xsrftoken requesttoken correlationtoken tokentype tokencount tokensused maxtokens
		prompttokens completiontokens totaltokens passwordless keyboard plateau publickey pubkey
		displayname devicename hostname filename topicname profilename modelname typename
		sensorname entityname groupname tagname unitname scenename zonename roomname
		friendlyname projectname cameraname productname tenantname applicationname
		deviceprofilename filepath ambienttemperature airtemperature watertemperature
		motortemperature cputemperature roomtemperature oiltemperature coolanttemperature
		indoortemperature outdoortemperature devicetemperature chiptemperature
		bloodhound facedown surface interface imageversion imageid imagesize imageurl videourl
		passcount passed  heartbeat heartbeatinterval addressline memoryaddress
		modbusaddress deviceaddress slaveaddress unitaddress registeraddress busaddress
		i2caddress baseaddress networkaddress nwkaddress shortaddress startaddress groupaddress physicaladdress individualaddress
		drivername driverversion driverid userid userids ownerid personid patientcount
		errorcode faultcode statuscode alarmcode eventcode reasoncode resultcode responsecode returncode exitcode warningcode
		diagnosticcode troublecode productcode partcode itemcode articlecode colorcode colourcode barcode qrcode functioncode
		opcode typecode modelcode regioncode languagecode langcode currencycode batchcode areacode
		tokenlimit spanid traceid parentspanid serialport serialbaud serialdata serialization serialconfig cardinality latency
		locale   modelpath modelfile modelversion weightgrams netweight
		grossweight tareweight waterlevel oxygenlevel dissolvedoxygen`},

	{sensePersonName, `firstname lastname surname familyname givenname forename middlename fullname
		personname customername clientfullname patientname ownername holdername cardholder
		cardholdername accountholder accountholdername contactname contactperson employeename visitorname guestname
		residentname tenantfullname drivername driverfullname operatorname  realname
		legalname maidenname birthname fathername mothername childname studentname studentfullname teachername
		membername passengername userfullname authorname recipientname sendername
		vorname nachname familienname geburtsname ansprechpartner prenom nomcomplet nomdefamille
		apellido apellidos nombrecompleto cognome sobrenome imie nazwisko
		fornavn efternavn voornaam achternaam soyad
		фамилия отчество фио 姓名 名字 车主 驾驶员 司机 联系人 用户名称 真实姓名 氏名 성명`},
	{sensePersonLabel, `sublabel cardname subject recognizedname recognisedname knownface facename identityname matchedname`},
	{sensePerson, `owner driver patient employee customer resident visitor guest cardholder
		passenger contact recipient person people human member occupant caregiver caretaker nurse doctor
		operator worker student teacher inhabitant beneficiary emergencycontact nextofkin author assignee
		analyst technician inspector supervisor foreman organizer organiser attendee
		fahrer kunde mitarbeiter besitzer conducteur proprietaire conductor propietario
		subscriber holder individual applicant user family parent mother father spouse guardian 用户 人员 员工 患者 访客`},
	{senseNamePart, `family given`},
	{senseUser, `user username login loginname account accountname uname mqttuser`},
	{senseName, `name n u setting option variable quantity measurand metric parameter bn param title label alias nickname nom`},
	{senseEmail, `email emailaddress mail mailaddress usermail contactemail useremail correo courriel 邮箱 电子邮件 メール`},
	{sensePhone, `phone phonenumber telephone telephonenumber mobile mobilephone mobilenumber cell
		cellphone cellnumber tel fax msisdn  telefon telefonnummer telefono telefone telephonique portable
		callerid callernumber caller callee whatsapp smsnumber simnumber contactnumber 手机 手机号 手机号码 电话 电话号码 联系电话 電話番号 전화번호 телефон`},
	{senseAddress, `streetaddress postaladdress homeaddress mailingaddress billingaddress
		shippingaddress deliveryaddress residentialaddress addressline1 addressline2 fulladdress
		formattedaddress street streetname housenumber residence  strasse straße anschrift adresse
		direccion indirizzo rue 地址 住址 家庭住址 收货地址 详细地址 住所 주소 адрес`},
	{senseAddressWeak, `address addr customeraddress useraddress siteaddress workaddress`},
	{senseCity, `line city town zip zipcode postcode postalcode plz suburb district county
		country countrycode village municipality road`},
	{senseChild, `child children kid minor pupil infant baby toddler schoolchild kindergarten 儿童 未成年 学生 宝宝`},
	{senseChild, `childname childfullname kidname babyname pupilname`},
	{senseAge, `age yearsold personage alter 年龄`},
	{senseGender, `gender sex 性别`},
	{senseBirth, `birthdate dateofbirth dob birthday birth borntime geburtsdatum 出生日期 生日`},
	{senseSpecial, `religion religiousbelief faith  unionmembership tradeunion
		unionmember sexualorientation sexuality ethnicity ethnicorigin racialorigin
		politicalopinion politicalparty politicalaffiliation partymembership 宗教 宗教信仰 民族 种族 政治面貌 性取向`},

	{senseSpecialWeak, `race`},

	{senseNationalID, `nationalid nationalidnumber nationalidentity idcard idcardnumber idcardno
		identitycard identitynumber identitycardnumber personalid personalidnumber personalnumber personnummer
		citizenid citizennumber governmentid idnumber idno identification identificationnumber
		personalcode personalidentitycode hetu cpr fodselsnummer isikukood pesel dni nie nif curp rut cpf aadhaar
		aadhar  nric fin rrn bsn cccd hkid ausweis personalausweis ausweisnummer
		codicefiscale fiscalcode 身份证 身份证号 身份证号码 证件号 证件号码 公民身份号码 居民身份证 주민등록번호 マイナンバー`},
	{senseTaxID, `taxid taxnumber taxidentificationnumber tin taxfilenumber tfn steuerid
		steuernummer steueridentifikationsnummer itin utr numerofiscal 税号 納税者番号`},
	{senseSSN, `ssn socialsecurity socialsecuritynumber socialinsurance socialinsurancenumber sin
		sozialversicherungsnummer rentenversicherungsnummer nino nationalinsurance nationalinsurancenumber nir insee 社保号 社会保障号`},
	{sensePassport, `passport passportnumber passportno reisepass passeport pasaporte passaporto 护照 护照号 护照号码`},
	{senseDriver, `driverlicense driverslicense driverlicence driverslicence drivinglicence
		drivinglicense driverlicensenumber driverlicencenumber  dlnumber fuehrerschein führerschein permisdeconduire 驾驶证 驾照`},
	{sensePatient, `patientid patientnumber medicalrecord medicalrecordnumber mrn healthcard
		healthcardnumber medicare medicarenumber 病历号 医保号`},
	{senseNHS, `nhs nhsnumber nhsno`},
	{senseInsurance, `insurancenumber policyholder healthinsurance healthinsurancenumber krankenversicherungsnummer kvnr insuredid`},

	{sensePlate, `licenseplate licenceplate numberplate plate plateno platenumber plateid platetext
		licenseno licenceno vehicleplate carplate registrationplate licenseplatenumber vehicleregistration
		registrationnumber vehiclenumber vrm vrn vehicleno carno carnumber
		kennzeichen kfzkennzeichen nummernschild immatriculation plaque plaqueimmatriculation matricula
		placa targa kenteken rejestracja 车牌 车牌号 车牌号码 号牌 号牌号码 ナンバープレート 차량번호 госномер`},
	{senseVIN, `vin vinnumber vehicleidentificationnumber chassisnumber chassisno  fahrgestellnummer  车架号 车辆识别代号 车辆识别码`},
	{senseVehicle, `vehicle car truck motorbike motorcycle fahrzeug anpr lpr alpr parking 车辆 汽车`},

	{senseDevice, `shellies shelly zigbee2mqtt milesight teltonika tasmota axis src dst device sensor gateway node meter camera station thing controller actuator module
		probe tracker terminal relay plug switch bulb 设备 终端`},
	{senseSerial, `serial serialnumber serialno serialnr sernum sn seriennummer numeroserie
		devicesn deviceserial manufacturerserial hwserial assettag adco prm equipmentid equipmentidentifier meterid meternumber
		meterserial zaehlernummer 序列号 设备序列号 シリアル番号`},
	{senseMAC, `mac macaddress macaddr bssid bluetoothaddress btaddress btmac wifimac ethmac wlanmac
		hwaddr hwaddress hardwareaddress ethernetaddress stamac apmac bleaddress bdaddr
		bluetoothmac clientmac devicemac sourcemac destmac devicemacaddress  mac地址`},
	{senseIMEI, `imei imeisv meid esn`},
	{senseICCID, `iccid simid simiccid uicc`},
	{senseIMSI, `imsi`},
	{senseEUI, `eui deveui joineui appeui gatewayeui eui64 ieeeaddress ieeeaddr ieee extaddr extendedaddress devaddr longaddress`},
	{senseDeviceID, `deviceid gatewayid nodeid relayid sensorid stationid deviceuid
		deviceuuid hardwareid hwid machineid chipid udid androidid
		identifier uniqueid viadevice clientid tagid beaconid trackerid terminalid terminalno unitid assetid imeinumber cameraid uid
		mmsi idfa gaid advertisingid adid deviceaddressid 设备编号 设备号 设备id`},
	{senseID, `id identifier ident`},
	{senseWearable, `wearable phone smartphone watch smartwatch tag beacon band bracelet wristband fitbit
		garmin withings owntracks ibeacon iphone galaxy mobile handset badge keyfob fob airtag  body
		personaltracker  ouratag oura whoop polar`},
	{senseIP, `ip ipaddress ipaddr ipv4 ipv6 ip4 ip6 remoteip clientip publicip localip wanip lanip staip sourceip destip ip地址`},
	{senseHost, `host hostname server serverhost broker endpoint`},
	{senseVersion, `sw hw version firmware fw fwversion swversion hwversion firmwareversion softwareversion ver release build
		updateversion bootloader revision 版本 版本号`},
	{senseHash, `hash checksum digest sha1 sha256 sha512 md5 crc crc32 commit etag  gitcommit sourcehash`},

	{senseCard, `creditcard creditcardnumber cardnumber cardno ccnumber ccnum debitcard paymentcard
		card pan primaryaccountnumber kreditkarte cartebancaire tarjeta tarjetacredito bankcard bankcardnumber 银行卡 银行卡号 信用卡 信用卡号 卡号`},
	{senseAccount, `accountnumber accountno bankaccount bankaccountnumber acctnum acctno kontonummer
		numerodecuenta 账号 银行账号 账户`},
	{senseIBAN, `iban ibannumber`},
	{senseRouting, `routing routingnumber aba abarouting sortcode blz bankleitzahl bsb swift bic swiftcode`},
	{senseWallet, `wallet walletaddress bitcoin bitcoinaddress btc btcaddress eth ethaddress ethereum cryptowallet crypto payto 钱包地址`},
	{senseBank, `bank payment transaction banking billing invoice`},
	{senseTransaction, `amount currency merchant price total`},

	{sensePassword, `password passwd secrete pwd passphrase passcode  userpassword wifipassword
		mqttpassword wifipass mqttpass mqttpwd brokerpassword adminpassword rootpassword loginpassword ftppassword
		passwort kennwort motdepasse contrasena contraseña  senha wachtwoord haslo parola 密码 口令 パスワード пароль
		passwordhash  pincode disarmcode armcode unlockcode doorcode accesscode usercode lockcode keypadcode securitycode cvv cvc  otp
		dbpass databasepass sqlpass mysqlpass pgpass postgrespass mongopass redispass smtppass mailpass ftppass sshpass vpnpass
		adminpass rootpass userpass loginpass servicepass keystorepass storepass truststorepass proxypass ldappass appass wpapass
		pickupcode pairingcode pairingpin commissioningcode
		communitystring snmpcommunity rocommunity rwcommunity readcommunity writecommunity
		temporarypassword newpassword oldpassword dbpassword databasepassword keystorepassword smtppassword sudopassword`},
	{sensePIN, `pin`},
	{senseSecret, `secret sharedsecret clientsecret appsecret apisecret devicesecret provisiondevicesecret
		secretkey sharedkey sharedaccesskey  symmetrickey presharedkey psk wpapsk wpakey wpa2key wifikey wifipsk networkkey
		encryptionkey masterkey signingkey hmackey authorizationkey hmacsecret devicekey provisiondevicekey provisionkey provisioningkey
		appkey appskey nwkkey nwkskey lorawanappkey fnwksintkey snwksintkey nwksenckey joinkey genappkey mcappskey mcnwkskey
		linkkey installcode tclinkkey zigbeekey meshkey netkey aeskey storagekey storageaccountkey accountkey
		sessionkey secretaccesskey awssecretaccesskey consumersecret webhooksecret jwtsecret authkey authsecret totpsecret
		decryptionkey seedphrase mnemonic recoverykey recoveryphrase rootkey apppassword credential securitykey
		connectionstring guestwifikey wepkey bindkey  localkey  密钥 秘钥 私密`},
	{senseToken, `token accesstoken authtoken refreshtoken bearertoken sessiontoken devicetoken bearer
		apitoken usertoken authorization sastoken sas bottoken pushtoken jwt accesstokenvalue oauthtoken
		securitytoken personalaccesstoken sessionid sessioncookie cookie xauthtoken provisiontoken 令牌`},
	{senseAPIKey, `apikey xapikey  subscriptionkey functionkey apiaccesskey licensekey writekey writeapikey readapikey mapskey`},
	{senseAccessKey, `accesskey accesskeyid accessid awsaccesskeyid`},
	{sensePrivateKey, `privatekey privkey clientkey sslkey tlskey keypem clientprivatekey devicekeypem rsaprivatekey rsakey pem pemkey serverkey signingprivatekey sshkey 私钥`},
	{senseKey, `key`},
	{senseAuth, `auth basicauth`},
	{sensePass, `pass pw otapw`},
	{senseSSID, `ssid essid wifissid networkname`},
	{senseKeyType, `kty`},
	{senseKeyPart, `d k`},
	{senseCertificate, `certificate cert cacert clientcert`},
	{senseCode, `code actioncode`},
	{senseAlarm, `keypad alarmpanel alarmcontrolpanel alarmkeypad securitypanel securitysystem burglaralarm intrusionalarm intruderalarm
		disarm disarmed armaway armhome armnight armday armstay armvacation armall armallzones armdayzones armnightzones
		armmode armstate armedaway armedhome armednight armedstate`},
	{senseCommunity, `community`},
	{senseSNMP, `snmp snmptrap oid varbind trapoid sysdescr`},
	{senseAction, `action command cmd`},
	{senseBadge, `idtag idtoken employeenumber employeeno employeeid staffnumber staffid personnelnumber personnelno badge badgeid badgenumber badgeno accesscard accesscardid accesscardnumber accesscardno rfid
		rfidtag rfiduid rfidtagid carduid cardid cardcode nfcuid nfctag keycard keycardid tagnumber credentialid credentialtoken facilitycode wiegand keyfobid fobid 门禁卡 门禁卡号 工号`},

	{senseLat, `lat latitude latitudei latdeg latdecimal latitudedeg gpslat gpslatitude breitengrad latitud   纬度 緯度 широта`},
	{senseLon, `lon lng long longitude longitudei londeg longitudedeg gpslon gpslng gpslongitude laengengrad längengrad longitud   经度 経度 долгота`},
	{senseCoordinates, `coordinates coordinate coords coord`},
	{sensePosition, `position pos point lastposition currentposition waypoint polygon linestring`},
	{senseGeo, `gps location latlon latlng latlong lonlat lnglat
		gpsposition gpscoordinates gpslocation gpscoords gpsfix geo geolocation geoposition geopoint geojson loc latlonalt
		homelocation lastlocation currentlocation nmea geocoordinates 坐标 位置 定位 经纬度`},
	{senseAltitude, `alt altitude elevation`},
	{senseSpeed, `speed velocity spd`},
	{senseHeading, `heading bearing cog course track`},
	{senseAccuracy, `accuracy hdop acc satellites`},
	{senseGeohash, `geohash pluscode olc what3words w3w`},
	{senseTimezone, `timezone tz tzname timezonename olson zoneinfo`},
	{senseRoom, `room bedroom livingroom bathroom classroom meetingroom 房间`},
	{sensePlace, `room zone area place floor building site door gate entrance lane checkpoint intersection junction  房间 楼层`},
	{senseRegion, `region`},
	{senseTime, `time timestamp ts datetime date capturetime eventtime captureat detectedat occurredat createdat
		starttime endtime passtime  时间 抓拍时间`},
	{senseCamera, `camera cam cameraid camerano cameraname channel channelid ipcam cctv 摄像头 相机`},
	{sensePresence, `devicetracker presence ispresent userpresent isuserpresent occupancy occupied occupants roomoccupied ishome athome homestate
		personpresent personcount peoplecount personscount whoishome geofence geofences roompresence presencestate
		sleepstate asleep inbed bedoccupied sleeping awake  activeroutedestination
		destination routedestination  lastseenroom inregions habit dailyroutine activitytype 在家 有人`},
	{senseTransition, `event transition`},
	{senseDistance, `distance rssi proximity`},

	{senseFace, `face faces facial faceid facedetection facerecognition facebox facebbox faceboundingbox facerect
		facequality facetoken faceattributes faceattribute compreface deepface insightface arcface facenet retinaface facematch
		facescore recognition faceinfo faceevent 人脸 人脸识别 顔 얼굴`},
	{senseFaceData, `facetemplate facefeature faceencoding facedescriptor faceprint facevector faceembedding facedata  landmarks landmark facelandmarks facelandmark  人脸特征 人脸特征值 人脸模板`},
	{senseFaceTrait, `emotion emotions glasses eyeglasses sunglasses beard smile mood facialhair`},
	{senseEmbedding, `embedding embeddings featurevector biometrictemplate reidfeature reidembedding appearancevector
		voiceprint speakerembedding xvector dvector gaitvector gaitsignature gaitfeature embeddingvector 特征值 特征向量`},
	{senseVector, `feature features descriptor descriptors encoding encodings vector vec template reid appearance`},
	{senseFinger, `finger`},
	{senseFingerprint, `fingerprint fingerprintdata fingerprinttemplate fingertemplate minutiae fingerprintimage palmprint palmvein 指纹 掌纹`},
	{senseIris, `iris iristemplate irisscan iriscode retina 虹膜`},
	{senseVoice, `voiceprint voicetemplate speakerid 声纹`},
	{senseSimilarity, `similarity score confidence match`},
	{senseHealth, `heartrate heartratebpm heartrhythm bloodpressure systolic diastolic systolicbloodpressure diastolicbloodpressure
		systolicpressure diastolicpressure systolicbp diastolicbp sysbp diabp
		nibp spo2 bloodoxygen oxygensaturation oxygensat sao2 bloodglucose glucose bloodsugar glucoselevel cgm sgv bodytemperature bodytemp
		skintemperature corebodytemperature basalbodytemperature
		bodyweight bodyheight bodymassindex bodyfat fatratio bodyfatpercentage musclemass bonemass visceralfat bodywater
		respiratoryrate respirationrate breathingrate breathrate hrv heartratevariability ecg ekg ecgdata eeg emg
		restingheartrate maxheartrate stepcount dailysteps stepsday sleepduration sleepstage sleepscore sleepquality sleepstages totalsleeptime deepsleep remsleep lightsleep
		supplementaloxygenflowrate fio2 etco2 endtidalco2 insulin insulindose insulinonboard bolus basalrate medication medications medicine diagnosis diagnoses disease allergy allergies
		symptom symptoms prescription bloodtype bloodgroup cholesterol hemoglobin vo2max perfusionindex caloriesburned menstrual
		menstruation pregnancy pregnant falldetected falldetection  stresslevel moodscore apnea ahi peakflow hba1c painlevel icd10 vitalsign vitals bmi
		心率 脉搏 血压 收缩压 舒张压 血氧 血糖 体温 呼吸频率 体重 身高 步数 睡眠 病史 诊断 过敏史 心電図 심박수`},
	{senseHealthWeak, `hr bpm pulse pulserate resp rhythm basal iob sys dia steps step weight height saturation respiration sleep calories rr bp oxygen fat posture stress activity`},
	{senseTemperature, `temperature temp tmp`},
	{senseBody, `human patient wearable healthdata telehealth icu healthkit medical clinic hospital fitness fitbit withings garmin owntracks omh watch wristband bracelet
		pedometer bedside vitals vital bodyscale oximeter  glucometer bpmonitor bloodpressuremonitor cpap ecgmonitor ward nursing nurse care caregiver elderly wellbeing
		sleeptracker oura whoop polar 健康 病人 医院 手环`},
	{senseMachine, `motor engine pump machine reactor bioreactor fermenter brewery autoclave extruder nozzle kiln furnace chiller compressor bearing spindle cpu gpu chip board battery inverter panel boiler heater hvac tank pipe
		room ambient air outdoor indoor freezer fridge oven transformer plc robot conveyor tire tyre wheel truck soil water gas coolant 电机 机器`},
	{senseUnit, `unit units uom`},

	{senseImage, `image img picture photo snapshot thumbnail thumb frame jpeg jpg png imagedata imagebase64 imageb64 photobase64
		facecrop facecropimage faceimage plateimage fullimage cropimage picdata pic faceimg capturedimage screenshot avatar 图片 图像 照片 抓拍图 人脸图片`},
	{senseVideo, `video clip videodata recording mp4 videobase64 视频`},
	{senseAudio, `audio voice sound speech wav pcm audiodata voicedata audiobase64 voicemessage 音频 录音 语音`},
	{senseModel, `weights modelweights modeldata modelbytes modelb64 checkpoint modelblob tensor statedict 模型`},
	{sensePrompt, `prompt userprompt systemprompt completion promptresponse llmresponse assistantresponse chatmessage chatcontent
		userquery toolcalls toolcall functioncall utterance transcript transcription speechtext recognizedtext chathistory 提示词 对话`},
	{senseMessages, `messages conversation chat dialogue dialog choices`},
	{senseRole, `role finishreason stopreason`},
	{senseContent, `content text message`},

	{senseCount, `count length len size total`},
	{senseFlag, `enabled enable valid required is has available supported`},
	{senseType, `type kind class category objecttype eventtype`},
}
