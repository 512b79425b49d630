package broker

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
)

// access is what decides about clients, swapped whole.
type access struct {
	users *Users
	acl   *ACL
}

// Users are names and password hashes.
type Users struct {
	byName map[string]password
	slots  chan struct{} // bounds the hashing that runs at once
	dummy  password      // compared for unknown names, so that they take as long
}

// A login is who a client said it is, and the password that proved it.
type login struct {
	name     string
	password password
}

// expelled says whether the client logged in as a user who is gone, or has
// another password now.
func (l *link) expelled(users *Users) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil || l.login == nil {
		return false
	}
	if users == nil {
		return true
	}
	p, known := users.byName[l.login.name]
	old := l.login.password
	return !known || p.scheme != old.scheme || p.iterations != old.iterations || !bytes.Equal(p.salt, old.salt) || !bytes.Equal(p.hash, old.hash)
}

// A password is one stored hash.
type password struct {
	scheme     byte // '6', '7' or 'b'
	iterations int
	salt, hash []byte // bcrypt: hash is the whole string
}

const (
	maxPBKDF2 = 1_000_000 // iterations: about half a second on a small board
	maxBcrypt = 14
	maxUsers  = 100_000
)

// ParseUsers reads a password file: one "name:hash" a line, where the hash is
// bcrypt ("$2a$", "$2b$", "$2y$") or one of mosquitto's: "$6$salt$hash" (SHA-512
// of password and salt) and "$7$iterations$salt$hash" (PBKDF2 with
// HMAC-SHA-512), salt and hash in base64. Empty lines and lines that begin with
// "#" are skipped. Anything else is an error, with its line; all errors are
// returned at once. Errors never show a hash.
//
// "$6$" is one round of a fast hash: read for the sake of existing files, not
// recommended.
func ParseUsers(src []byte) (*Users, error) {
	u := &Users{
		byName: make(map[string]password),
		slots:  make(chan struct{}, runtime.GOMAXPROCS(0)),
		dummy:  password{scheme: '6', salt: make([]byte, 12), hash: make([]byte, sha512.Size)},
	}
	var errs []error
	n := 0
	for line := range bytes.Lines(src) {
		n++
		s := strings.TrimRight(string(line), "\r\n")
		if s == "" || s[0] == '#' {
			continue
		}
		name, hash, ok := strings.Cut(s, ":")
		switch {
		case !ok || name == "":
			errs = append(errs, fmt.Errorf("line %d: want name:hash", n))
			continue
		case !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0:
			errs = append(errs, fmt.Errorf("line %d: user name is not UTF-8 without NUL", n))
			continue
		}
		p, err := parsePassword(hash)
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		if _, twice := u.byName[name]; twice {
			errs = append(errs, fmt.Errorf("line %d: user is listed twice", n))
			continue
		}
		if len(u.byName) >= maxUsers {
			errs = append(errs, fmt.Errorf("line %d: more than %d users", n, maxUsers))
			break
		}
		u.byName[name] = p
		if p.scheme != '6' {
			u.dummy = p
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return u, nil
}

func parsePassword(s string) (p password, err error) {
	parts := strings.Split(s, "$")
	switch {
	case len(parts) < 3 || parts[0] != "":
		return p, errors.New("password is not hashed: want $7$…, $6$… or bcrypt")
	case parts[1] == "2a" || parts[1] == "2b" || parts[1] == "2y":
		cost, err := bcrypt.Cost([]byte(s))
		if err != nil || len(s) != 60 {
			return p, errors.New("bcrypt hash is malformed")
		}
		if cost > maxBcrypt {
			return p, fmt.Errorf("bcrypt cost is %d, want at most %d", cost, maxBcrypt)
		}
		return password{scheme: 'b', hash: []byte(s)}, nil
	case parts[1] == "6" && len(parts) == 4:
		p.scheme = '6'
	case parts[1] == "7" && len(parts) == 5:
		p.scheme = '7'
		p.iterations, err = strconv.Atoi(parts[2])
		if err != nil || p.iterations < 1 || p.iterations > maxPBKDF2 {
			return p, fmt.Errorf("iterations of a $7$ hash must be 1 to %d", maxPBKDF2)
		}
	default:
		return p, errors.New("unknown password hash: want $7$…, $6$… or bcrypt")
	}
	enc := base64.StdEncoding.Strict()
	if p.salt, err = enc.DecodeString(parts[len(parts)-2]); err != nil || len(p.salt) == 0 {
		return p, errors.New("salt is not base64")
	}
	if p.hash, err = enc.DecodeString(parts[len(parts)-1]); err != nil || len(p.hash) != sha512.Size {
		return p, fmt.Errorf("hash is not %d bytes in base64", sha512.Size)
	}
	return p, nil
}

// Len is the number of users.
func (u *Users) Len() int { return len(u.byName) }

// Verify says whether the password is the user's. It takes the same time for
// an unknown name, and no more than one call a processor runs at once.
func (u *Users) Verify(name string, pass []byte) bool {
	p, known := u.byName[name]
	if !known {
		p = u.dummy
	}
	u.slots <- struct{}{}
	defer func() { <-u.slots }()
	return p.matches(pass) && known
}

func (p password) matches(pass []byte) bool {
	var sum []byte
	switch p.scheme {
	case 'b':
		return bcrypt.CompareHashAndPassword(p.hash, pass) == nil
	case '6':
		h := sha512.New()
		h.Write(pass)
		h.Write(p.salt)
		sum = h.Sum(nil)
	case '7':
		var err error
		if sum, err = pbkdf2.Key(sha512.New, string(pass), p.salt, p.iterations, sha512.Size); err != nil {
			return false
		}
	}
	return subtle.ConstantTimeCompare(sum, p.hash) == 1
}

// NewUser makes a line of a password file, with a random password of 128 bits.
func NewUser(name string) (line, password string, err error) {
	if name == "" || strings.ContainsAny(name, ":\n") {
		return "", "", errors.New("a user name has no colon, and is not empty")
	}
	password = rand.Text()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return "", "", fmt.Errorf("hash password: %w", err)
	}
	return name + ":" + string(hash), password, nil
}
