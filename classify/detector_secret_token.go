package classify

import "bytes"

// Tokens that say themselves what they are: a provider's prefix, then so many
// characters of an alphabet, as the provider documents or mints them.

// A charset is a set of characters, as bits.
type charset uint16

const (
	csLower   charset = 1 << iota // g-z
	csUpper                       // G-Z
	csDigit                       // 0-9
	csHexLow                      // a-f
	csHexUp                       // A-F
	csUnder                       // _
	csDash                        // -
	csDot                         // .
	csPad                         // =
	csB64                         // + /
	csTilde                       // ~
	csColon                       // :
	csPercent                     // %
	csSlash                       // /

	csHex   = csDigit | csHexLow
	csHEX   = csHex | csHexUp
	csLow   = csHexLow | csLower | csDigit
	csUp    = csHexUp | csUpper | csDigit
	csAlnum = csLow | csUp
	csWord  = csAlnum | csUnder
	csURL   = csWord | csDash
	csStd   = csAlnum | csB64 | csPad
	csDots  = csURL | csDot
	csLoose = csURL | csPad
	csAny   = csDots | csPad | csB64 | csTilde | csColon | csPercent
)

var charsets = func() (t [256]charset) {
	for b := 'g'; b <= 'z'; b++ {
		t[b], t[b-32] = csLower, csUpper
	}
	for b := 'a'; b <= 'f'; b++ {
		t[b], t[b-32] = csHexLow, csHexUp
	}
	for b := '0'; b <= '9'; b++ {
		t[b] = csDigit
	}
	t['_'], t['-'], t['.'], t['='] = csUnder, csDash, csDot, csPad
	t['+'], t['/'], t['~'], t[':'], t['%'] = csB64, csB64|csSlash, csTilde, csColon, csPercent
	return t
}()

// A tokenRule is the form of one kind of token.
type tokenRule struct {
	prefix   string // at least three bytes
	set      charset
	min, max int                // bytes behind the prefix; max 0: only maxTokenBody
	check    func(b []byte) int // further structure; see the answers below
	secret   bool               // a secret, not a token
	key      bool               // a private key
}

// What a check answers.
const (
	checkNo    = iota // it is none
	checkMaybe        // as good as without the check
	checkSure         // a checksum or an inner structure holds
)

// maxTokenBody is the longest body of a rule without a bound of its own.
const maxTokenBody = 512

// tokenRules holds every provider whose tokens have a prefix of their own.
var tokenRules = []tokenRule{
	// Code hosts, registries, build systems.
	{prefix: "ghp_", set: csAlnum, min: 36, max: 36, check: githubChecksum},
	{prefix: "gho_", set: csAlnum, min: 36, max: 36, check: githubChecksum},
	{prefix: "ghu_", set: csAlnum, min: 36, max: 36, check: githubChecksum},
	{prefix: "ghs_", set: csAlnum, min: 36, max: 36, check: githubChecksum},
	{prefix: "ghr_", set: csAlnum, min: 36, max: 76, check: githubChecksum},
	{prefix: "github_pat_", set: csWord, min: 60, max: 100},
	{prefix: "glpat-", set: csDots, min: 20, max: 300},
	{prefix: "gldt-", set: csURL, min: 20, max: 64},
	{prefix: "glrt-", set: csDots, min: 20, max: 300},
	{prefix: "glcbt-", set: csURL, min: 20, max: 64},
	{prefix: "glptt-", set: csURL, min: 20, max: 64},
	{prefix: "glft-", set: csURL, min: 20, max: 64},
	{prefix: "glffct-", set: csURL, min: 20, max: 64},
	{prefix: "glimt-", set: csURL, min: 20, max: 64},
	{prefix: "glagent-", set: csURL, min: 50, max: 512},
	{prefix: "gloas-", set: csURL, min: 64, max: 64},
	{prefix: "glsoat-", set: csURL, min: 20, max: 64},
	{prefix: "glrtr-", set: csDots, min: 20, max: 300},
	{prefix: "glwt-", set: csURL, min: 20, max: 64},
	{prefix: "GR1348941", set: csURL, min: 20, max: 60, check: mixed},
	{prefix: "gitlab_session=", set: csAlnum, min: 32, max: 32},
	{prefix: "ATATT3x", set: csDots | csPad | csB64, min: 100, max: 300},
	{prefix: "ATCTT3x", set: csDots | csPad | csB64, min: 100, max: 300},
	{prefix: "ATBB", set: csAlnum, min: 24, max: 40, check: mixed},
	{prefix: "ATSTT3x", set: csDots | csPad | csB64, min: 100, max: 300},
	{prefix: "BBDC-", set: csStd, min: 40, max: 64},
	{prefix: "npm_", set: csAlnum, min: 36, max: 36},
	{prefix: "pypi-AgE", set: csURL, min: 50},
	{prefix: "rubygems_", set: csHex, min: 48, max: 48},
	{prefix: "oy2", set: csLow, min: 43, max: 43},
	{prefix: "CLOJARS_", set: csLow, min: 60, max: 60},
	{prefix: "dckr_pat_", set: csURL, min: 27, max: 40},
	{prefix: "dckr_oat_", set: csURL, min: 27, max: 40},
	{prefix: "AKCp", set: csAlnum, min: 64, max: 80},
	{prefix: "cmVmdGtuOj", set: csStd, min: 46, max: 64},
	{prefix: "sgp_", set: csWord, min: 40, max: 60},
	{prefix: "slk_", set: csHEX, min: 64, max: 64},
	{prefix: "sq0", set: csURL, min: 20, max: 60},
	{prefix: "squ_", set: csHEX, min: 40, max: 40},
	{prefix: "sqp_", set: csHEX, min: 40, max: 40},
	{prefix: "sqa_", set: csHEX, min: 40, max: 40},
	{prefix: "CCIPAT_", set: csWord, min: 40, max: 90},
	{prefix: "CCIPRJ_", set: csWord, min: 40, max: 90},
	{prefix: "bkua_", set: csHEX, min: 40, max: 40},
	{prefix: "bkaj_", set: csWord, min: 30, max: 512},
	{prefix: "cio", set: csAlnum, min: 32, max: 32},
	{prefix: "sntrys_", set: csStd | csUnder, min: 60, max: 512, check: sentryOrg},
	{prefix: "sntryu_", set: csHEX, min: 64, max: 64},
	{prefix: "snyk_", set: csDots, min: 36, max: 200},
	{prefix: "tfp_", set: csDots, min: 40, max: 80},
	{prefix: "pul-", set: csHEX, min: 40, max: 40},
	{prefix: "dop_v1_", set: csHEX, min: 64, max: 64},
	{prefix: "doo_v1_", set: csHEX, min: 64, max: 64},
	{prefix: "dor_v1_", set: csHEX, min: 64, max: 64},
	{prefix: "rnd_", set: csAlnum, min: 28, max: 40, check: mixed},
	{prefix: "rdme_", set: csLow, min: 70, max: 70},
	{prefix: "pnu_", set: csAlnum, min: 36, max: 36},
	{prefix: "pnb_", set: csAlnum, min: 36, max: 36},
	{prefix: "HRKU-", set: csURL, min: 36, max: 70},
	{prefix: "tk-us-", set: csURL, min: 48, max: 48},
	{prefix: "nfp_", set: csAlnum, min: 36, max: 40},
	{prefix: "vc_", set: csAlnum, min: 32, max: 60, check: mixed},
	{prefix: "fo1_", set: csURL, min: 40, max: 50},
	{prefix: "fm1a_", set: csStd, min: 80, secret: true},
	{prefix: "fm1r_", set: csStd, min: 80, secret: true},
	{prefix: "fm2_", set: csStd, min: 80, secret: true},
	{prefix: "sat.", set: csDots, min: 60, max: 90, check: mixed},

	// Clouds and what runs in them.
	{prefix: "AKIA", set: csUp, min: 16, max: 16, check: base32},
	{prefix: "ASIA", set: csUp, min: 16, max: 16, check: base32},
	{prefix: "ABIA", set: csUp, min: 16, max: 16, check: base32},
	{prefix: "ACCA", set: csUp, min: 16, max: 16, check: base32},
	{prefix: "ABSKQmVkcm9ja0FQSUtleS", set: csStd, min: 90, max: 300, secret: true},
	{prefix: "bedrock-api-key-", set: csStd, min: 20},
	{prefix: "AIzaSy", set: csURL, min: 33, max: 33},
	{prefix: "GOCSPX-", set: csURL, min: 24, max: 32, secret: true},
	{prefix: "GOOG1E", set: csUp, min: 55, max: 55},
	{prefix: "ya29.", set: csDots, min: 40},
	{prefix: "LTAI", set: csAlnum, min: 12, max: 26, check: mixed},
	{prefix: "AKID", set: csAlnum, min: 32, max: 32, check: mixed},
	{prefix: "AKLT", set: csAlnum, min: 40, max: 60, check: mixed},
	{prefix: "LA135", set: csAlnum, min: 34, max: 34},
	{prefix: "da2-", set: csLow, min: 26, max: 26, check: mixed},
	{prefix: "webhook.office.com/webhookb2/", set: csURL, min: 30, max: 80},
	{prefix: "pgar_", set: csLow, min: 27, max: 32},
	{prefix: "dapi", set: csHEX | csDash, min: 32, max: 34, check: databricks},
	{prefix: "dose", set: csHex, min: 32, max: 32},
	{prefix: "dkea", set: csHex, min: 32, max: 32},
	{prefix: "dp.pt.", set: csAlnum, min: 40, max: 48},
	{prefix: "dp.st.", set: csDots, min: 40, max: 80},
	{prefix: "dp.sa.", set: csAlnum, min: 40, max: 48},
	{prefix: "dp.ct.", set: csAlnum, min: 40, max: 48},
	{prefix: "dp.scim.", set: csAlnum, min: 40, max: 48},
	{prefix: "dp.audit.", set: csAlnum, min: 40, max: 48},
	{prefix: "hvs.", set: csURL, min: 24, max: 300},
	{prefix: "hvb.", set: csURL, min: 60, max: 400},
	{prefix: "hvr.", set: csURL, min: 60, max: 400},
	{prefix: "pscale_tkn_", set: csLoose | csDot, min: 32, max: 64},
	{prefix: "pscale_pw_", set: csLoose | csDot, min: 32, max: 64, secret: true},
	{prefix: "pscale_oauth_", set: csLoose | csDot, min: 32, max: 64},
	{prefix: "sha256~", set: csURL, min: 43, max: 43},
	{prefix: "tskey-", set: csAlnum | csDash, min: 18, max: 80, check: dashes},
	{prefix: "dnkey-", set: csLoose, min: 60, max: 90},
	{prefix: "nvapi-", set: csURL, min: 40, max: 80},
	{prefix: "v1.0-", set: csHex | csDash, min: 150, max: 180},
	{prefix: "t1.", set: csLoose | csDot, min: 60, max: 300, check: mixed},
	{prefix: "AQVN", set: csURL, min: 34, max: 38, check: mixed},
	{prefix: "YCAJ", set: csURL, min: 21, max: 21, check: mixed},
	{prefix: "YCM", set: csURL, min: 37, max: 37, check: mixed},
	{prefix: "YCN", set: csURL, min: 37, max: 37, check: mixed},
	{prefix: "YCO", set: csURL, min: 37, max: 37, check: mixed},
	{prefix: "YCP", set: csURL, min: 37, max: 37, check: mixed},
	{prefix: "y0_", set: csURL, min: 50, max: 60, check: mixed},
	{prefix: "sbp_", set: csHEX | csUnder, min: 40, max: 43},
	{prefix: "sb_secret_", set: csURL, min: 30, max: 50, secret: true},
	{prefix: "fnA", set: csURL, min: 37, max: 50, check: mixed},
	{prefix: "sbf_", set: csAlnum, min: 32, max: 60, check: mixed},
	{prefix: "ops_eyJ", set: csStd | csURL, min: 200, max: 0},
	{prefix: "A3-", set: csUp | csDash, min: 30, max: 38, check: onePassword, secret: true},
	{prefix: "AGE-SECRET-KEY-1", set: csUp, min: 58, max: 58, key: true},
	{prefix: "AGE-SECRET-KEY-PQ-1", set: csUp, min: 58, max: 80, key: true},
	{prefix: "4b1d", set: csAlnum, min: 38, max: 38, check: mixed},
	{prefix: "pza_", set: csAlnum, min: 32, max: 60, check: mixed},
	{prefix: "sm_aat_", set: csAlnum, min: 16, max: 16},
	{prefix: "sm_pat_", set: csAlnum, min: 16, max: 16},
	{prefix: "sm_sat_", set: csAlnum, min: 16, max: 16},
	{prefix: "endr+", set: csAlnum, min: 16, max: 16},
	{prefix: "eyJ2ZXIiOiIy", set: csDots, min: 80},
	{prefix: "dt0c01.", set: csDots, min: 89, max: 89},
	{prefix: "dt0s01.", set: csDots, min: 60, max: 100},
	{prefix: "dt0s16.", set: csDots, min: 60, max: 100},
	{prefix: "NRAK-", set: csAlnum, min: 27, max: 27},
	{prefix: "NRII-", set: csURL, min: 32, max: 32},
	{prefix: "NRJS-", set: csHex, min: 19, max: 19},
	{prefix: "NRIQ-", set: csURL, min: 32, max: 32},
	{prefix: "NRRA-", set: csHex, min: 42, max: 42},
	{prefix: "glc_", set: csStd, min: 32, max: 400},
	{prefix: "glsa_", set: csWord, min: 41, max: 41},
	{prefix: "eyJrIjoi", set: csStd, min: 60, max: 400},
	{prefix: "phc_", set: csAlnum, min: 40, max: 50, check: mixed},
	{prefix: "phx_", set: csAlnum, min: 40, max: 50, check: mixed},
	{prefix: "xapp-", set: csAlnum | csDash, min: 60, max: 200},
	{prefix: "lsv2_pt_", set: csWord, min: 40, max: 50},
	{prefix: "lsv2_sk_", set: csWord, min: 40, max: 50},
	{prefix: "sk-lf-", set: csHex | csDash, min: 36, max: 36, secret: true},
	{prefix: "pdus+_0X", set: csDots, min: 16, max: 60},
	{prefix: "api-", set: csHex | csDash, min: 36, max: 36, check: uuidBody},
	{prefix: "sdk-", set: csHex | csDash, min: 36, max: 36, check: uuidBody},
	{prefix: "API-", set: csUp, min: 25, max: 32, check: mixed},
	{prefix: "tk_", set: csAlnum, min: 32, max: 60, check: mixed},

	// Models.
	{prefix: "sk-ant-", set: csURL, min: 60, max: 140, check: anthropic},
	{prefix: "sk-or-v1-", set: csHEX, min: 64, max: 64},
	{prefix: "sk-proj-", set: csURL, min: 40, max: 220},
	{prefix: "sk-svcacct-", set: csURL, min: 40, max: 220},
	{prefix: "sk-admin-", set: csURL, min: 40, max: 220},
	{prefix: "sk-", set: csAlnum, min: 32, max: 64, check: mixed},
	{prefix: "sess-", set: csAlnum, min: 40, max: 40},
	{prefix: "hf_", set: csHexLow | csHexUp | csLower | csUpper, min: 34, max: 34},
	{prefix: "api_org_", set: csHexLow | csHexUp | csLower | csUpper, min: 34, max: 34},
	{prefix: "gsk_", set: csAlnum, min: 52, max: 52},
	{prefix: "pplx-", set: csAlnum, min: 48, max: 56},
	{prefix: "r8_", set: csURL, min: 37, max: 40},
	{prefix: "xai-", set: csAlnum, min: 70, max: 90},
	{prefix: "tgp_v1_", set: csURL, min: 40, max: 60},
	{prefix: "fw_", set: csAlnum, min: 22, max: 26, check: mixed},
	{prefix: "jina_", set: csURL, min: 60, max: 64},
	{prefix: "pcsk_", set: csWord, min: 60, max: 80},
	{prefix: "voy-", set: csURL, min: 40, max: 50},
	{prefix: "pa-", set: csURL, min: 43, max: 43, check: mixed},
	{prefix: "wandb_v1_", set: csWord, min: 60, max: 90},

	// Messages.
	{prefix: "xoxb-", set: csAlnum | csDash, min: 14, max: 200, check: slack},
	{prefix: "xoxp-", set: csAlnum | csDash, min: 14, max: 200, check: slack},
	{prefix: "xoxa-", set: csAlnum | csDash, min: 14, max: 200, check: slack},
	{prefix: "xoxo-", set: csAlnum | csDash, min: 14, max: 200, check: slack},
	{prefix: "xoxs-", set: csAlnum | csDash, min: 14, max: 200, check: slack},
	{prefix: "xoxr-", set: csAlnum | csDash, min: 12, max: 200, check: mixed},
	{prefix: "xoxc-", set: csAlnum | csDash, min: 14, max: 200, check: slack},
	{prefix: "xoxd-", set: csAlnum | csDash | csPercent, min: 40, max: 300},
	{prefix: "xoxe-", set: csAlnum | csDash, min: 20, max: 300, check: slack},
	{prefix: "xoxe.xoxb-", set: csAlnum | csDash, min: 20, max: 300},
	{prefix: "xoxe.xoxp-", set: csAlnum | csDash, min: 20, max: 300},
	{prefix: "hooks.slack.com/services/", set: csURL | csSlash, min: 40, max: 60},
	{prefix: "hooks.slack.com/workflows/", set: csURL | csSlash, min: 40, max: 90},
	{prefix: "hooks.slack.com/triggers/", set: csURL | csSlash, min: 40, max: 90},
	{prefix: "hooks.zapier.com/hooks/catch/", set: csURL | csSlash, min: 12, max: 40},
	{prefix: "SG.", set: csLoose | csDot, min: 60, max: 68},
	{prefix: "key-", set: csHex, min: 32, max: 32},
	{prefix: "pubkey-", set: csHex, min: 32, max: 32},
	{prefix: "xkeysib-", set: csHex | csLow | csDash, min: 81, max: 81},
	{prefix: "xsmtpsib-", set: csHex | csLow | csDash, min: 81, max: 81},
	{prefix: "re_", set: csWord, min: 32, max: 36, check: mixed},
	{prefix: "md-", set: csURL, min: 22, max: 22, check: mixed},
	{prefix: "whsec_", set: csStd, min: 32, max: 80, secret: true},
	{prefix: "EAAC", set: csAlnum, min: 80, max: 300},
	{prefix: "EAAG", set: csAlnum, min: 80, max: 300},
	{prefix: "EAAM", set: csAlnum, min: 80, max: 300},
	{prefix: "EAAA", set: csURL, min: 58, max: 300, check: mixed},
	{prefix: "AAAAAAAAAAAAAAAAAAAAA", set: csAlnum | csPercent, min: 75, max: 120, check: mixed},
	{prefix: "ctp_", set: csAlnum, min: 40, max: 60, check: mixed},

	// Payment and commerce.
	{prefix: "sk_live_", set: csAlnum, min: 24, max: 250, secret: true},
	{prefix: "sk_test_", set: csAlnum, min: 24, max: 250, secret: true},
	{prefix: "sk_prod_", set: csAlnum, min: 10, max: 250, secret: true},
	{prefix: "rk_live_", set: csAlnum, min: 24, max: 250, secret: true},
	{prefix: "rk_test_", set: csAlnum, min: 24, max: 250, secret: true},
	{prefix: "rk_prod_", set: csAlnum, min: 10, max: 250, secret: true},
	{prefix: "shpat_", set: csHEX, min: 32, max: 32},
	{prefix: "shpca_", set: csHEX, min: 32, max: 32},
	{prefix: "shppa_", set: csHEX, min: 32, max: 32},
	{prefix: "shpss_", set: csHEX, min: 32, max: 32, secret: true},
	{prefix: "shippo_live_", set: csHEX, min: 40, max: 40},
	{prefix: "shippo_test_", set: csHEX, min: 40, max: 40},
	{prefix: "EZAK", set: csAlnum, min: 54, max: 54},
	{prefix: "EZTK", set: csAlnum, min: 54, max: 54},
	{prefix: "FLWSECK", set: csAlnum | csUnder | csDash, min: 12, max: 48, secret: true},
	{prefix: "FLWPUBK_TEST-", set: csAlnum | csDash, min: 32, max: 36},
	{prefix: "duffel_test_", set: csLoose, min: 43, max: 43},
	{prefix: "duffel_live_", set: csLoose, min: 43, max: 43},
	{prefix: "access-sandbox-", set: csHex | csDash, min: 36, max: 36},
	{prefix: "access-production-", set: csHex | csDash, min: 36, max: 36},
	{prefix: "access-development-", set: csHex | csDash, min: 36, max: 36},
	{prefix: "ramp_sec_", set: csAlnum, min: 40, max: 60, secret: true},
	{prefix: "live_", set: csHex, min: 35, max: 35},
	{prefix: "test_", set: csHex, min: 35, max: 35},
	{prefix: "live_pub_", set: csHex, min: 31, max: 31},
	{prefix: "test_pub_", set: csHex, min: 31, max: 31},
	{prefix: "ico-", set: csAlnum, min: 32, max: 32, check: mixed},
	{prefix: "rzp_live_", set: csAlnum, min: 14, max: 14},
	{prefix: "xnd_production_", set: csAlnum, min: 40, max: 80},
	{prefix: "pat.", set: csDots, min: 60, max: 90, check: mixed},
	{prefix: "oaa", set: csAny, min: 60, max: 512, check: airtableOAuth},
	{prefix: "1//0", set: csURL, min: 40, max: 200},
	{prefix: "discord.com/api/webhooks/", set: csURL | csSlash, min: 70, max: 100},
	{prefix: "discordapp.com/api/webhooks/", set: csURL | csSlash, min: 70, max: 100},
	{prefix: "pat", set: csAlnum | csDot, min: 79, max: 79, check: airtable},

	// Documents, maps, people's tools.
	{prefix: "PMAK-", set: csHex | csDash, min: 59, max: 59},
	{prefix: "PMAT-", set: csUp, min: 26, max: 26},
	{prefix: "ntn_", set: csAlnum, min: 46, max: 46},
	{prefix: "secret_", set: csAlnum, min: 43, max: 43, check: mixed, secret: true},
	{prefix: "lin_api_", set: csAlnum, min: 40, max: 40},
	{prefix: "lin_oauth_", set: csAlnum, min: 64, max: 64},
	{prefix: "figd_", set: csURL, min: 40, max: 44},
	{prefix: "figu_", set: csURL, min: 40, max: 44},
	{prefix: "fio-u-", set: csLoose, min: 64, max: 64},
	{prefix: "sk.eyJ", set: csDots, min: 60, max: 200},
	{prefix: "pk.eyJ", set: csDots, min: 60, max: 200},
	{prefix: "pat-na1-", set: csHex | csDash, min: 36, max: 36},
	{prefix: "pat-eu1-", set: csHex | csDash, min: 36, max: 36},
	{prefix: "CFPAT-", set: csURL, min: 40, max: 50},
	{prefix: "sl.", set: csURL, min: 100, max: 512},
	{prefix: "sl.u.", set: csURL, min: 100, max: 512},
	{prefix: "lob_", set: csAlnum, min: 35, max: 35},
	{prefix: "eyJidWNrZXRfdG9rZW4i", set: csStd, min: 40},
	{prefix: "thog-key-", set: csHex, min: 16, max: 16, secret: true},
	{prefix: "thog-secret-", set: csHex, min: 32, max: 32, secret: true},
	{prefix: "patd_", set: csHEX, min: 40, max: 64},
	{prefix: "mfa.", set: csURL, min: 84, max: 84},
	{prefix: "ubi_", set: csAlnum, min: 32, max: 64, check: mixed},
}

var tokenIndex = newRuleIndex(tokenRules)

// tokenPrefixes is how the tokens of all rules begin.
func tokenPrefixes() []string {
	var ps []string
	for i := range tokenRules {
		ps = append(ps, tokenRules[i].prefix)
	}
	return ps
}

func findProviderToken(c *candidate) (match, bool) {
	t := c.text
	for i := c.start; i+8 < c.end; i++ {
		if i > 0 && charsets[t[i-1]]&csAlnum != 0 {
			continue
		}
		for _, k := range tokenIndex.at(t[i:]) {
			r := &tokenRules[k]
			if m, ok := r.match(t, i); ok {
				return m, true
			}
		}
	}
	return match{}, false
}

// match reports whether a token of the rule begins at t[i].
func (r *tokenRule) match(t []byte, i int) (match, bool) {
	j := i + len(r.prefix)
	if len(t) < j+r.min || string(t[i:j]) != r.prefix {
		return match{}, false
	}
	n := r.body(t[j:])
	if n == 0 || masked(t[j:j+n]) {
		return match{}, false
	}
	m := match{start: i, end: j + n, class: ClassCredentialToken, confidence: 90, why: WhyPrefix | WhyShape}
	switch {
	case r.secret:
		m.class = ClassCredentialSecret
	case r.key:
		m.class = ClassCredentialPrivateKey
	}
	if r.check != nil {
		switch r.check(t[j : j+n]) {
		case checkNo:
			return match{}, false
		case checkSure:
			m.confidence, m.why = 99, m.why|WhyChecksum
		}
	}
	return m, true
}

// body returns how many bytes of t, which stands behind the prefix, belong to
// the token; 0: it is none.
func (r *tokenRule) body(t []byte) int {
	limit := r.max
	if limit == 0 {
		limit = maxTokenBody
	}
	n := 0
	for n < len(t) && n <= limit && charsets[t[n]]&r.set != 0 {
		n++
	}
	if n > limit && r.set&(csDot|csDash) != 0 && n > 0 && charsets[t[limit]]&(csAlnum|csUnder) == 0 {
		n = limit // a full stop or a dash behind it
	}
	for n > r.min && t[n-1] == '.' {
		n--
	}
	if n < r.min || n > limit || n < len(t) && (charsets[t[n]]&csAlnum != 0 || t[n] == '_') {
		return 0
	}
	return n
}

// cutShort reports whether t, which stands where a text names a token, begins
// like one of a known provider and ends too early: made up, or useless.
func cutShort(t []byte) bool {
	if i := bytes.IndexByte(t[:min(len(t), 12)], ':'); i >= 8 && i+2 < len(t) && t[i+1] == 'A' && digitsOnly(t[:i]) {
		return runOf(t[i+1:], csURL) == len(t)-i-1 && len(t)-i-1 != 35 // a bot's, see shaped
	}
	for _, k := range tokenIndex.at(t) {
		r := &tokenRules[k]
		n := len(r.prefix)
		if n < 5 || n == len("xoxa-") && t[0] == 'x' || len(t) >= n+r.min || len(t) < n || string(t[:n]) != r.prefix {
			continue
		}
		if b := r.prefix[n-1]; b == '_' || b == '-' || b == '.' {
			return true
		}
	}
	return false
}

// A ruleIndex finds the rules that may begin with three bytes.
type ruleIndex struct {
	order []uint16
	from  [257]uint16
}

func ruleHash(a, b, c byte) byte {
	return byte((uint32(a) + uint32(b)*37 + uint32(c)*1009) * 0x9E3779B1 >> 24)
}

func newRuleIndex(rules []tokenRule) *ruleIndex {
	x := &ruleIndex{}
	for h := range 256 {
		x.from[h] = uint16(len(x.order))
		for i, r := range rules {
			if int(ruleHash(r.prefix[0], r.prefix[1], r.prefix[2])) == h {
				x.order = append(x.order, uint16(i))
			}
		}
	}
	x.from[256] = uint16(len(x.order))
	return x
}

func (x *ruleIndex) at(t []byte) []uint16 {
	if len(t) < 3 {
		return nil
	}
	h := ruleHash(t[0], t[1], t[2])
	return x.order[x.from[h]:x.from[int(h)+1]]
}
