package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// A webhook posts opened messages, one at a time and in order, as the JSON that
// `open --json` prints. A message is done when the answer is 2xx. Answers that
// are about the message (400, 413, 415, 422) refuse it; after any other, and
// where nobody answers, it is posted again.
type webhook struct {
	url    string
	token  string
	client *http.Client
	log    *slog.Logger
}

const webhookTimeout = 30 * time.Second

func newWebhook(url, tokenFile string, log *slog.Logger) (*webhook, error) {
	w := &webhook{url: url, log: log, client: &http.Client{
		Timeout: webhookTimeout,
		// What was opened goes where the user said, and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if tokenFile != "" {
		var err error
		if w.token, err = readSecret(tokenFile); err != nil {
			return nil, fmt.Errorf("read webhook token: %w", err)
		}
	}
	return w, nil
}

func (w *webhook) deliver(ctx context.Context, in mqtt.Message, m *envelope.Opened, done func(error)) error {
	body, err := json.Marshal(describeOpened(in.Topic, m))
	if err != nil {
		return fmt.Errorf("encode message for the webhook: %w", err)
	}
	for try := 1; ; try++ {
		err := w.post(ctx, body, m)
		if err == nil {
			done(nil)
			return nil
		}
		if unfit := new(unfitError); errors.As(err, &unfit) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.log.Warn("the webhook does not take a message; trying again", "error", err)
		if !pause(ctx, try) {
			return context.Cause(ctx)
		}
	}
}

func (w *webhook) post(ctx context.Context, body []byte, m *envelope.Opened) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("webhook is no URL")
	}
	req.Header.Set("Content-Type", "application/json")
	if m.Protection != envelope.ProtectionNone {
		// The same whenever a message is sent again, by whomever.
		req.Header.Set("Idempotency-Key", fmt.Sprintf("%x", m.Header.MessageID))
	}
	if w.token != "" {
		req.Header.Set("Authorization", "Bearer "+w.token)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		if timeout, ok := err.(interface{ Timeout() bool }); ok && timeout.Timeout() {
			return errors.New("no answer in time")
		}
		return errors.New("no answer") // the error's text has the URL, which may hold a secret
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection is used again
	_ = resp.Body.Close()
	switch c := resp.StatusCode; {
	case c >= 200 && c < 300:
		return nil
	case c == http.StatusBadRequest, c == http.StatusRequestEntityTooLarge, c == http.StatusUnsupportedMediaType, c == http.StatusUnprocessableEntity:
		return &unfitError{fmt.Sprintf("webhook_%d", c)}
	default:
		return fmt.Errorf("it answers with status %d", c)
	}
}
