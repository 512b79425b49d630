package classify

// Number plates in compact form. None carries a checksum, and most are shaped
// like anything else: what follows are forms, to be used with words near or
// with the grouping that plates have.

// ukPlate reports whether b is a British plate of the current form: area, age
// identifier (02 to 29, 51 to 79), three letters.
func ukPlate(b []byte) bool {
	if len(b) != 7 || !allUpper(b[:2]) || !allDigits(b[2:4]) || !allUpper(b[4:]) {
		return false
	}
	for i, c := range b {
		if c == 'I' || c == 'Q' || c == 'Z' && i < 2 {
			return false
		}
	}
	age := number(b[2:4])
	return age >= 2 && age <= 29 || age >= 51 && age <= 79
}

// inPlate reports whether b is an Indian plate: state, district, series of one
// to three letters, four digits; or the national BH series.
func inPlate(b []byte) bool {
	n := len(b)
	if n < 8 || n > 11 {
		return false
	}
	if b[2] == 'B' && b[3] == 'H' && allDigits(b[:2]) {
		return n >= 9 && n <= 10 && allDigits(b[4:8]) && allUpper(b[8:])
	}
	if b[2]-'0' > 9 || !allDigits(b[n-4:]) || !listed(inStates, b[:2]) {
		return false
	}
	mid := b[3 : n-4]
	if mid[0]-'0' <= 9 {
		mid = mid[1:]
	}
	return len(mid) >= 1 && len(mid) <= 3 && allUpper(mid) && number(b[n-4:]) > 0
}

const inStates = " AN AP AR AS BR CG CH DD DL DN GA GJ HP HR JH JK KA KL LA LD MH ML MN MP MZ NL OD OR PB PY RJ SK TN TR TS TG UK UA UP WB "

// listed reports whether word stands between spaces in list.
func listed(list string, word []byte) bool {
	n := len(word)
	for i := 0; i+n+1 < len(list); i++ {
		if list[i] == ' ' && list[i+n+1] == ' ' && list[i+1:i+1+n] == string(word) {
			return true
		}
	}
	return false
}

// trPlate reports whether b is a Turkish plate: province 01 to 81, letters,
// digits, of matching number.
func trPlate(b []byte) bool {
	n := len(b)
	if n < 6 || n > 9 || !allDigits(b[:2]) || !allDigits(b[n-2:]) {
		return false
	}
	if p := number(b[:2]); p < 1 || p > 81 {
		return false
	}
	letters := 0
	for letters < 3 && b[2+letters]-'A' <= 25 {
		letters++
	}
	digits := n - 2 - letters
	return letters > 0 && digits >= 2 && digits <= 5 && letters+digits >= 4 && allDigits(b[2+letters:])
}

// ngPlate reports whether b is a Nigerian plate: area, serial number, year and
// batch.
func ngPlate(b []byte) bool {
	return len(b) == 8 && allUpper(b[:3]) && allDigits(b[3:6]) && allUpper(b[6:])
}

// cnPlate reports whether text is a Chinese plate as written: province
// character, city letter, an optional dot, five places (six for new energy) of
// digits and letters without I and O.
func cnPlate(text []byte) bool {
	if len(text) < 3+1+5 || !listed(cnProvinces, text[:3]) || text[3]-'A' > 25 {
		return false
	}
	rest := text[4:]
	if len(rest) > 2 && rest[0] == 0xc2 && rest[1] == 0xb7 { // U+00B7
		rest = rest[2:]
	}
	if len(rest) != 5 && len(rest) != 6 {
		return false
	}
	digits := 0
	for _, c := range rest {
		switch {
		case c-'0' <= 9:
			digits++
		case c == 'I', c == 'O', c-'A' > 25:
			return false
		}
	}
	return digits >= 2
}

const cnProvinces = " 京 津 沪 渝 冀 豫 云 辽 黑 湘 皖 鲁 新 苏 浙 赣 鄂 桂 甘 晋 蒙 陕 吉 闽 贵 粤 青 藏 川 宁 琼 使 领 "

// dePlate reports whether the parts are a German plate: district, one or two
// letters, one to four digits, E or H for electric and historic cars.
func dePlate(district, letters, digits []byte) bool {
	if n := len(digits); n > 1 && (digits[n-1] == 'E' || digits[n-1] == 'H') {
		digits = digits[:n-1]
	}
	if len(digits) < 1 || len(digits) > 4 || !allDigits(digits) || digits[0] == '0' {
		return false
	}
	if len(letters) < 1 || len(letters) > 2 || !allUpper(letters) || len(district) < 1 || len(district) > 3 {
		return false
	}
	return listed(deDistricts, district)
}

// The district signs of German plates (§ 9 FZV, annex 1; the list of the
// Federal Motor Transport Authority), those of the federation and revived ones
// included.
const deDistricts = " A AA AB ABG ABI AC AE AF AH AIB AIC AK AL ALF ALZ AM AN ANA ANG ANK AÖ AP APD AR ARN ART AS ASL ASZ AT AU AUR AW AZ AZE " +
	"B BA BAD BAR BB BBG BC BCH BD BE BED BER BF BGD BGL BH BI BID BIN BIR BIT BIW BK BKS BL BLB BLK BM BN BNA BO BOG BOH BOR BOT BRA BRB BRG BRI BRK BRL BRV BS BSB BSK BT BTF BUL BW BWL BYL BZ BZA " +
	"C CA CAS CB CE CHA CLP CLZ CO COC COE CR CUX CW D DA DAH DAN DAU DBR DD DE DEG DEL DGF DH DI DIL DIN DIZ DKB DL DLG DM DN DO DON DU DUD DW DZ " +
	"E EA EB EBE EBN EBS ECK ED EE EF EG EH EI EIC EIL EIN EIS EL EM EMD EMS EN ER ERB ERH ERK ERZ ES ESB ESW EU EW " +
	"F FB FD FDB FDS FEU FF FFB FG FI FKB FL FLO FN FO FOR FR FRG FRI FRW FS FT FTL FW FZ " +
	"G GA GAN GAP GC GD GDB GE GEL GEM GEO GER GF GG GHA GHC GI GK GL GLA GM GMN GN GNT GO GOA GOH GP GR GRA GRH GRI GRM GRZ GS GT GTH GUB GUN GV GVM GW GZ " +
	"H HA HAB HAL HAM HAS HB HBN HBS HC HCH HD HDH HDL HE HEB HEF HEI HEL HER HET HF HG HGN HGW HH HHM HI HIG HIP HK HL HM HMÜ HN HO HOG HOH HOL HOM HOR HOS HOT HP HR HRO HS HSK HST HU HUN HUS HV HVL HWI HX HY HZ " +
	"IGB IK IL ILL IN IZ J JB JE JEV JL JÜL K KA KB KC KE KEH KEL KEM KF KG KH KI KIB KK KL KLE KLZ KM KN KO KÖN KÖT KÖZ KR KRU KS KT KU KÜN KUS KW KY KYF " +
	"L LA LAN LAU LB LBS LBZ LC LD LDK LDS LEO LER LEV LF LG LH LI LIB LIF LIP LL LM LN LÖ LÖB LOS LP LR LRO LSA LSN LSZ LU LÜN LUP LWL " +
	"M MA MAB MAI MAK MAL MAR MB MC MD ME MED MEG MEI MEK MEL MER MET MG MGH MGN MH MHL MI MIL MK MKK ML MM MN MO MOD MOL MON MOS MQ MR MS MSE MSH MSP MST MTK MTL MÜ MÜB MÜR MVL MW MY MYK MZ MZG " +
	"N NAB NAI NAU NB ND NDH NE NEA NEB NEC NEN NES NEU NEW NF NH NI NK NL NM NMB NMS NÖ NOH NOL NOM NOR NP NR NRW NT NU NVP NW NWM NY NZ " +
	"OA OAL OB OBB OBG OC OCH OD OE OF OG OH OHA OHV OHZ OK OL OP OPR OS OSL OTW OVI OVL OVP OZ P PA PAF PAN PAR PB PCH PE PEG PF PI PIR PL PLÖ PM PN PR PRÜ PS PW PZ " +
	"QFT QLB R RA RC RD RDG RE REG REH REI RG RH RI RID RIE RL RM RN RO ROD ROF ROK ROL ROS ROT ROW RP RPL RS RSL RT RU RÜD RÜG RV RW RZ " +
	"S SAB SAD SAL SAN SAW SB SBG SBK SC SCZ SDH SDL SDT SE SEB SEE SEF SEL SFB SFT SG SGH SH SHA SHG SHK SHL SI SIG SIM SK SL SLE SLF SLK SLN SLS SLÜ SLZ SM SN SO SOB SOG SOK SÖM SON SP SPB SPN SR SRB SRO ST STA STB STD STE STL STO SU SUL SÜW SW SWA SY SZ SZB " +
	"TBB TDO TE TET TF TG THL THW TIR TO TÖL TP TR TS TT TÜ TUT UE UEM UFF UH UL UM UN USI V VAI VB VEC VER VG VIB VIE VIT VK VOH VR VS " +
	"W WA WAF WAK WAN WAR WAT WB WBS WDA WE WEL WEN WER WES WF WG WHV WI WIL WIS WIT WIZ WK WL WLG WM WMS WN WND WO WOB WOH WOL WOR WOS WR WRN WS WSF WST WSW WT WTL WTM WÜ WUG WÜM WUN WUR WW WZ WZL X Y Z ZE ZEL ZI ZIG ZP ZR ZW ZZ "
