package eval

import "github.com/sealgate/sealgate/classify"

// An entityType is what a type of entity is in our taxonomy.
type entityType struct {
	class   classify.ClassID
	or      classify.ClassSet // right as well
	checked bool              // its checksum is known and demanded
}

// entityTypes are the types of Microsoft Presidio's recognizers that our classes
// answer to. What is not here (dates, places, organizations, post codes) is
// neither right nor wrong to find.
var entityTypes = func() map[string]entityType {
	all := map[string]entityType{}
	put := func(t entityType, types ...string) {
		for _, name := range types {
			all[name] = t
		}
	}
	medical := classify.ClassSet(0).With(classify.ClassHealth)
	put(entityType{class: classify.ClassIDNational, checked: true},
		"AU_TFN", "CA_SIN", "DE_ID_CARD", "DE_SOCIAL_SECURITY", "DE_TAX_ID", "ES_NIE", "ES_NIF", "FI_PERSONAL_IDENTITY_CODE",
		"IN_AADHAAR", "IT_FISCAL_CODE", "KR_RRN", "PL_PESEL", "SE_PERSONNUMMER", "SG_NRIC_FIN", "TH_TNIN", "TR_NATIONAL_ID", "ZA_ID_NUMBER")
	put(entityType{class: classify.ClassIDNational, or: medical, checked: true}, "UK_NHS")
	put(entityType{class: classify.ClassIDNational},
		"AU_ABN", "AU_ACN", "DE_TAX_NUMBER", "DE_VAT_ID", "IN_GSTIN", "IN_PAN", "IN_VOTER", "IT_IDENTITY_CARD", "IT_VAT_CODE",
		"KR_BRN", "KR_FRN", "NG_NIN", "PH_TIN", "PH_UMID", "SE_ORGANISATIONSNUMMER", "SG_UEN", "UK_NINO", "US_ITIN", "US_SSN")
	put(entityType{class: classify.ClassIDNational, or: medical},
		"AU_MEDICARE", "DE_BSNR", "DE_HEALTH_INSURANCE", "DE_LANR", "MEDICAL_LICENSE", "US_MBI", "US_NPI")
	put(entityType{class: classify.ClassFinanceIBAN, checked: true}, "IBAN_CODE")
	put(entityType{class: classify.ClassFinanceCard, checked: true}, "CREDIT_CARD")
	put(entityType{class: classify.ClassFinanceAccount, checked: true}, "ABA_ROUTING_NUMBER")
	put(entityType{class: classify.ClassFinanceAccount}, "US_BANK_NUMBER")
	put(entityType{class: classify.ClassFinanceWallet}, "CRYPTO")
	put(entityType{class: classify.ClassContactEmail}, "EMAIL_ADDRESS")
	put(entityType{class: classify.ClassContactPhone}, "PHONE_NUMBER", "PH_MOBILE_NUMBER", "TR_PHONE_NUMBER")
	put(entityType{class: classify.ClassContactAddress}, "STREET_ADDRESS")
	put(entityType{class: classify.ClassPersonName}, "PERSON")
	put(entityType{class: classify.ClassNetIP}, "IP_ADDRESS")
	put(entityType{class: classify.ClassIDDevice}, "MAC_ADDRESS")
	put(entityType{class: classify.ClassIDPassport},
		"DE_PASSPORT", "ES_PASSPORT", "IN_PASSPORT", "IT_PASSPORT", "KR_PASSPORT", "UK_PASSPORT", "US_PASSPORT")
	put(entityType{class: classify.ClassIDDriver},
		"DE_FUEHRERSCHEIN", "IT_DRIVER_LICENSE", "KR_DRIVER_LICENSE", "UK_DRIVING_LICENCE", "US_DRIVER_LICENSE")
	put(entityType{class: classify.ClassIDVehiclePlate},
		"DE_KFZ", "IN_VEHICLE_REGISTRATION", "NG_VEHICLE_REGISTRATION", "TR_LICENSE_PLATE", "UK_VEHICLE_REGISTRATION")
	return all
}()
