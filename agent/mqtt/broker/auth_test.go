package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func hash6(pass string) string {
	salt := []byte("twelve bytes")
	sum := sha512.Sum512(append([]byte(pass), salt...))
	return "$6$" + base64.StdEncoding.EncodeToString(salt) + "$" + base64.StdEncoding.EncodeToString(sum[:])
}

func hash7(pass string) string {
	salt := []byte("twelve bytes")
	sum, _ := pbkdf2.Key(sha512.New, pass, salt, 101, sha512.Size)
	return "$7$101$" + base64.StdEncoding.EncodeToString(salt) + "$" + base64.StdEncoding.EncodeToString(sum)
}

func hashB(t testing.TB, pass string) string {
	h, err := bcrypt.GenerateFromPassword([]byte(pass), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func TestUsers(t *testing.T) {
	u, err := ParseUsers([]byte("# users\n\nsix:" + hash6("p6") + "\nseven:" + hash7("p7") + "\r\nbee:" + hashB(t, "pb") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, pass string
		want       bool
	}{
		{"six", "p6", true}, {"six", "p7", false}, {"six", "", false},
		{"seven", "p7", true}, {"seven", "p7 ", false},
		{"bee", "pb", true}, {"bee", "p6", false},
		{"nobody", "p6", false}, {"", "", false},
	} {
		if got := u.Verify(tt.name, []byte(tt.pass)); got != tt.want {
			t.Errorf("%s with %q: %t", tt.name, tt.pass, got)
		}
	}
	if u.Len() != 3 {
		t.Errorf("%d users", u.Len())
	}
}

func TestUsersErrors(t *testing.T) {
	secret := hash6("x")
	src := strings.Join([]string{
		"ok:" + secret, "plain:password", "no colon", ":" + secret, "ok:" + secret,
		"u:$5$abc$def", "u:$6$***$" + secret, "u:$6$YWJj$YWJj", "u:$7$0$YWJj$YWJj", "u:$7$99999999$YWJj$YWJj",
		"u:$2b$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuabcdefghijklmn", "u:$2b$10$short", "u\xff:" + secret,
	}, "\n")
	_, err := ParseUsers([]byte(src))
	if err == nil {
		t.Fatal("no error")
	}
	for n := 2; n <= 13; n++ {
		if !strings.Contains(err.Error(), fmt.Sprintf("line %d:", n)) {
			t.Errorf("line %d is not reported", n)
		}
	}
	if strings.Contains(err.Error(), "line 1:") || strings.Contains(err.Error(), "password\n") || strings.Contains(err.Error(), secret[10:]) {
		t.Errorf("errors say too much: %v", err)
	}
}

// TestMosquittoPasswd reads what mosquitto_passwd writes.
func TestMosquittoPasswd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte("alice:wonderland\nbob:builder\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mosquitto(t, "mosquitto_passwd"), "-U", file).CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v\n%s", err, out)
	}
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	u, err := ParseUsers(src)
	if err != nil {
		t.Fatal(err)
	}
	if !u.Verify("alice", []byte("wonderland")) || !u.Verify("bob", []byte("builder")) || u.Verify("alice", []byte("builder")) {
		t.Error("passwords are not verified")
	}
}

func TestACL(t *testing.T) {
	acl, err := ParseACL([]byte(`
# anonymous
topic read public/#
topic deny public/hidden/#

user alice
topic a/+/b
topic write  out alice/x
topic deny a/no/b
pattern read clients/%c/in
pattern write users/%u/#
user bob
topic readwrite #
topic deny bob/private
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		user, client, topic string
		read, write         bool
	}{
		{"", "c", "public/x", true, false},
		{"", "c", "public/hidden/x", false, false},
		{"", "c", "a/1/b", false, false},
		{"", "c", "clients/c/in", true, false},
		{"", "c", "users//x", false, false},
		{"alice", "c", "public/x", false, false},
		{"alice", "c", "a/1/b", true, true},
		{"alice", "c", "a/1/2/b", false, false},
		{"alice", "c", "a/no/b", false, false},
		{"alice", "c", "out alice/x", false, true},
		{"alice", "c", "users/alice/deep/x", false, true},
		{"alice", "c", "users/bob/x", false, false},
		{"alice", "c", "clients/d/in", false, false},
		{"alice", "+", "clients/d/in", false, false},
		{"alice", "#", "clients/#/in", false, false},
		{"a/b", "c", "users/a/b/x", false, false},
		{"bob", "c", "anything", true, true},
		{"bob", "c", "$site/x", false, false},
		{"bob", "c", "bob/private", false, false},
		{"carol", "c", "public/x", false, false},
		{"carol", "c", "users/carol/x", false, true},
	} {
		named := tt.user != ""
		if got := acl.MayRead(tt.user, named, tt.client, tt.topic); got != tt.read {
			t.Errorf("%q reads %s: %t", tt.user, tt.topic, got)
		}
		if got := acl.MayWrite(tt.user, named, tt.client, tt.topic); got != tt.write {
			t.Errorf("%q writes %s: %t", tt.user, tt.topic, got)
		}
	}
	for _, tt := range []struct {
		user, filter string
		want         bool
	}{
		{"", "#", true}, {"", "public/+", true}, {"", "private/#", false}, {"", "$share/g/public/#", true},
		{"alice", "a/#", true}, {"alice", "+/1/+", true}, {"alice", "out alice/#", false}, {"alice", "+/+/c", false},
		{"bob", "bob/private", false}, {"bob", "bob/#", true}, {"carol", "#", true}, {"carol", "x/#", false},
	} {
		if got := acl.MayReadFilter(tt.user, tt.user != "", "c", tt.filter); got != tt.want {
			t.Errorf("%q subscribes to %s: %t", tt.user, tt.filter, got)
		}
	}
	def := DefaultACL()
	if !def.MayWrite("alice", true, "c", "alice/x") || def.MayWrite("alice", true, "c", "bob/x") || !def.MayWrite("", false, "c", "any/x") {
		t.Error("the default ACL is not what it says")
	}
	if !AllowAll().MayWrite("x", true, "c", "$site/x") || !AllowAll().MayReadFilter("x", true, "c", "$SYS/#") {
		t.Error("AllowAll does not")
	}
}

func TestACLErrors(t *testing.T) {
	_, err := ParseACL([]byte("topic\ntopic read\nuser\nuser \nfoo bar\ntopic a/#/b\npattern a+\n  topic indented\ntopic read ok\nUSER x\nuser \xff\n"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, n := range []int{1, 3, 4, 5, 6, 7, 8, 10, 11} {
		if !strings.Contains(err.Error(), fmt.Sprintf("line %d:", n)) {
			t.Errorf("line %d is not reported in:\n%v", n, err)
		}
	}
	if strings.Contains(err.Error(), "line 9:") {
		t.Errorf("line 9 is fine:\n%v", err)
	}
}

func FuzzACL(f *testing.F) {
	f.Add("topic read a/#\nuser x\npattern write %u/%c/#\n", "x", "a/b")
	f.Add("topic deny +\ntopic #", "", "$x")
	f.Fuzz(func(t *testing.T, src, user, topic string) {
		acl, err := ParseACL([]byte(src))
		if err != nil {
			return
		}
		read := acl.MayRead(user, user != "", "c", topic)
		acl.MayWrite(user, user != "", "c", topic)
		if checkTopic(topic) == nil && read && !acl.MayReadFilter(user, user != "", "c", topic) {
			t.Errorf("%q may be read and not subscribed to", topic)
		}
	})
}

func FuzzUsers(f *testing.F) {
	f.Add("a:"+hash6("x"), "a")
	f.Add("a:"+hash7("x")+"\nb:plain", "b")
	f.Fuzz(func(t *testing.T, src, name string) {
		if u, err := ParseUsers([]byte(src)); err == nil && u.Len() > 0 && strings.Count(src, "$7$") == 0 && strings.Count(src, "$2") == 0 {
			u.Verify(name, []byte("no"))
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("a/+/#", "a/b/c")
	f.Add("$SYS/#", "$SYS/x")
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if checkFilter(filter) != nil || checkTopic(topic) != nil || strings.HasPrefix(filter, "$share/") {
			return
		}
		if match(filter, topic) != overlap(filter, topic) {
			t.Errorf("match and overlap differ for %q and %q", filter, topic)
		}
	})
}

func TestAccess(t *testing.T) {
	users, err := ParseUsers([]byte("alice:" + hash6("a") + "\nbob:" + hash6("b") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSink()
	b, addr := start(t, s, func(o *Options) {
		o.Users = users
		o.Listeners = append(o.Listeners, Listener{Address: "127.0.0.1:0"})
	})
	closed := b.Addrs()[1].String()
	for _, tt := range []struct {
		addr       string
		version    byte
		user, pass string
		want       byte
	}{
		{addr, 4, "", "", 0}, {closed, 4, "", "", 5}, {closed, 5, "", "", 0x86},
		{closed, 4, "alice", "a", 0}, {closed, 5, "alice", "a", 0}, {addr, 4, "alice", "x", 5}, {closed, 5, "eve", "a", 0x86},
	} {
		c := dialRaw(t, tt.addr)
		if f := c.hello(tt.version, hello{id: "x" + tt.user, user: tt.user, pass: tt.pass}); f.kind() != 2 || f.body[1] != tt.want {
			t.Errorf("%q with %q: CONNACK %x, want %#x", tt.user, tt.pass, f.body, tt.want)
		}
		_ = c.Close()
	}
	eventually(t, "all gone", func() bool { return b.Stats().Sessions == 0 })

	alice, _ := connect(t, closed, 5, hello{id: "id", user: "alice", pass: "a"})
	if f := alice.subscribe(1, "bob/#", 0); f.body[len(f.body)-1] != 0x87 {
		t.Errorf("alice subscribes to bob/#: %x", f.body)
	}
	alice.subscribe(2, "#", 0)
	bob, _ := connect(t, closed, 4, hello{id: "b", user: "bob", pass: "b"})
	bob.publish("bob/x", "1", 1, 1, 0)
	bob.want(4, 1, 0)
	bob.publish("alice/x", "2", 1, 2, 0) // refused; 3.1.1 can't say so
	bob.want(4, 2, 0)
	alice.silent()
	alice.publish("bob/x", "3", 1, 1, 0)
	alice.want(4, 1, 0x87)
	alice.publish("bob/x", "3", 2, 2, 0)
	alice.want(5, 2, 0x87)
	alice.publish("alice/x", "4", 1, 3, 0)
	kinds := map[byte]int{} // her own message and its PUBACK, in any order
	kinds[alice.next().kind()]++
	kinds[alice.next().kind()]++
	if kinds[3] != 1 || kinds[4] != 1 {
		t.Errorf("alice got packets of types %v", kinds)
	}
	if got := s.messages(); len(got) != 2 || string(got[0].Payload) != "1" || string(got[1].Payload) != "4" {
		t.Errorf("sink got %v", got)
	}
	if n := b.Stats().Denied; n != 3 {
		t.Errorf("%d denied, want 3", n)
	}
	thief := dialRaw(t, closed) // takes no session of another user
	if f := thief.hello(5, hello{id: "id", user: "bob", pass: "b", keep: true}); f.body[1] != 0x85 {
		t.Errorf("bob takes alice's client id: CONNACK %x", f.body)
	}
	carol := dialRaw(t, addr) // anonymous: nobody takes her away
	if f := carol.hello(4, hello{id: "c"}); f.body[1] != 0 {
		t.Errorf("carol: CONNACK %x", f.body)
	}
	fewer, err := ParseUsers([]byte("alice:" + hash6("a") + "\nbob:" + hash7("b") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if n := b.SetAccess(users, nil); n != 0 {
		t.Errorf("%d clients were expelled by the same users", n)
	}
	alice.silent()
	if n := b.SetAccess(fewer, nil); n != 1 { // bob has another password
		t.Errorf("%d clients were expelled, want bob", n)
	}
	bob.ended(0)
	alice.silent()
	if n := b.SetAccess(nil, nil); n != 1 {
		t.Errorf("%d clients were expelled, want alice", n)
	}
	alice.ended(0x87)
	carol.silent()
	c := dialRaw(t, closed)
	if f := c.hello(4, hello{id: "z", user: "alice", pass: "a"}); f.body[1] != 5 {
		t.Errorf("alice after the users are gone: CONNACK %x", f.body)
	}
}

func TestAnonymousOnlyOnLoopback(t *testing.T) {
	for addr, ok := range map[string]bool{"127.0.0.1:0": true, "[::1]:0": true, "0.0.0.0:0": false, ":0": false} {
		b, err := New(Options{Sink: newSink(), Listeners: []Listener{{Address: addr, Anonymous: true}}})
		if err != nil && strings.Contains(err.Error(), "cannot assign") {
			continue // no IPv6 here
		}
		if (err == nil) != ok {
			t.Errorf("%s: %v", addr, err)
		}
		if b != nil {
			closeNow(t, b)
		}
	}
	sock := filepath.Join(t.TempDir(), "s")
	_, _ = start(t, newSink(), func(o *Options) { o.Listeners = []Listener{{Address: sock, Anonymous: true}} })
	c, err := net.Dial("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func certificate(t *testing.T, name string, ca *tls.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: ca == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := tmpl, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestTLS(t *testing.T) {
	ca := certificate(t, "ca", nil)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	s := newSink()
	b, addr := start(t, s, func(o *Options) {
		o.Limits.ConnectTimeout = 500 * time.Millisecond
		o.Listeners = []Listener{{Address: "127.0.0.1:0", CertificateUser: true, TLS: &tls.Config{
			Certificates: []tls.Certificate{certificate(t, "server", &ca)},
			ClientCAs:    pool, ClientAuth: tls.RequireAndVerifyClientCert,
		}}}
	})
	dial := func(certs ...tls.Certificate) (*raw, error) {
		c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, Certificates: certs})
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { _ = c.Close() })
		r := &raw{t: t, Conn: c, version: 4}
		r.r = pipe{c}.reader()
		return r, nil
	}
	c, err := dial(certificate(t, "dora", &ca))
	if err != nil {
		t.Fatal(err)
	}
	if f := c.hello(5, hello{id: "d", user: "root", pass: "x"}); f.body[1] != 0 { // the name is the certificate's
		t.Fatalf("CONNACK %x", f.body)
	}
	c.publish("dora/x", "1", 1, 1, 0)
	c.want(4, 1, 0)
	c.publish("root/x", "2", 1, 2, 0)
	c.want(4, 2, 0x87)
	if c, err := dial(); err == nil { // TLS 1.3 tells the client late
		c.ended(0)
	}
	plain := dialRaw(t, addr)
	plain.send(connectPacket(4, hello{id: "p"}))
	plain.ended(0)
	dialRaw(t, addr).ended(0) // says nothing
	if n := len(s.messages()); n != 1 {
		t.Errorf("sink got %d messages, want 1", n)
	}
	eventually(t, "refusals counted", func() bool { return b.Stats().RefusedTLS == 3 })
	if _, err := New(Options{Sink: s, Listeners: []Listener{{Address: "127.0.0.1:0", CertificateUser: true}}}); err == nil {
		t.Error("user names from certificates without TLS: no error")
	}
}

func TestNewUser(t *testing.T) {
	line, password, err := NewUser("device-1")
	if err != nil {
		t.Fatal(err)
	}
	u, err := ParseUsers([]byte(line + "\n"))
	if err != nil || !u.Verify("device-1", []byte(password)) || u.Verify("device-1", []byte(password+"x")) || len(password) < 20 {
		t.Errorf("%v, %d users, password of %d", err, u.Len(), len(password))
	}
	if _, _, err := NewUser("a:b"); err == nil {
		t.Error("a colon ends a name")
	}
}
