package joytoken

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// ErrMissingAPIKey is returned, before anything is sent, by calls that need a key.
var ErrMissingAPIKey = errors.New("joytoken API key is required; pass WithAPIKey or set JOY_TOKEN_API_KEY")

// ErrorCode is the coarse kind of an APIError.
type ErrorCode string

const (
	// ErrorCodeRateLimited is status 429.
	ErrorCodeRateLimited ErrorCode = "rate_limited"
	// ErrorCodeServerError is any status from 500.
	ErrorCodeServerError ErrorCode = "server_error"
	// ErrorCodeTimeout is no whole answer within the client's timeout.
	ErrorCodeTimeout ErrorCode = "timeout"
	// ErrorCodeNetwork is no answer, or one that was cut.
	ErrorCodeNetwork ErrorCode = "network"
	// ErrorCodeInvalidRequest is status 400 or 422.
	ErrorCodeInvalidRequest ErrorCode = "invalid_request"
	// ErrorCodeAuthentication is status 401: no key was sent.
	ErrorCodeAuthentication ErrorCode = "authentication"
	// ErrorCodeInsufficientQuota is status 402: a wallet, a limit or a budget does not carry the call.
	ErrorCodeInsufficientQuota ErrorCode = "insufficient_quota"
	// ErrorCodePermission is status 403: the key is not valid, or its policy refuses.
	ErrorCodePermission ErrorCode = "permission"
	// ErrorCodeNotFound is status 404.
	ErrorCodeNotFound ErrorCode = "not_found"
	// ErrorCodeConflict is status 409, such as the same Idempotency-Key under way.
	ErrorCodeConflict ErrorCode = "conflict"
	// ErrorCodeUnknown is anything else, such as an error within an answer of status 200.
	ErrorCodeUnknown ErrorCode = "unknown"
)

// APIError is a call that failed after it was sent.
type APIError struct {
	// StatusCode is the answer's, 0 where there was none. It is 200 where the failure came within the answer.
	StatusCode int
	Code       ErrorCode
	// Type is error.type of the body, such as insufficient_quota or policy_rejected.
	Type string
	// Reason is error.code of the body, a finer stable word such as wallet_empty or tier_not_allowed.
	Reason string
	// Param is error.param of the body: the field that is wrong.
	Param           string
	RequestID       string
	ResponseHeaders http.Header
	// Body is the parsed JSON, else the text; nil where it was empty.
	Body any

	cause error
	final bool // another attempt cannot help
}

// bodyShown is how many bytes of a body an error's text has at most.
const bodyShown = 4 << 10

// Error tells the status and the body, which never has the API key in it.
func (e *APIError) Error() string {
	if e.StatusCode == 0 && e.cause != nil {
		return fmt.Sprintf("joytoken api request failed (%s): %v", e.Code, e.cause)
	}
	message := fmt.Sprintf("joytoken api request failed with status %d", e.StatusCode)
	if e.Body == nil {
		return message
	}
	body, isText := e.Body.(string)
	if !isText {
		data, _ := json.Marshal(e.Body)
		body = string(data)
	}
	if len(body) > bodyShown {
		body = body[:bodyShown] + "…"
	}
	return message + ": " + body
}

// Unwrap is the cause of an error without an answer, so that errors.Is finds context.DeadlineExceeded.
func (e *APIError) Unwrap() error { return e.cause }

// ErrStreamClosed is returned by Recv after Close.
var ErrStreamClosed = errors.New("joytoken: the stream is closed")

// IsAPIError says whether err is, or wraps, an *APIError.
func IsAPIError(err error) bool {
	var apiErr *APIError
	return errors.As(err, &apiErr)
}

func codeOf(status int) ErrorCode {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return ErrorCodeInvalidRequest
	case http.StatusUnauthorized:
		return ErrorCodeAuthentication
	case http.StatusPaymentRequired:
		return ErrorCodeInsufficientQuota
	case http.StatusForbidden:
		return ErrorCodePermission
	case http.StatusNotFound:
		return ErrorCodeNotFound
	case http.StatusConflict:
		return ErrorCodeConflict
	case http.StatusTooManyRequests:
		return ErrorCodeRateLimited
	}
	if status >= 500 && status <= 599 {
		return ErrorCodeServerError
	}
	return ErrorCodeUnknown
}

// newAPIError is the error of an answer: its body is JSON or text.
func newAPIError(status int, header http.Header, data []byte) *APIError {
	err := &APIError{StatusCode: status, Code: codeOf(status), ResponseHeaders: header}
	var body any
	if len(data) > 0 {
		if json.Unmarshal(data, &body) != nil {
			body = string(data)
		}
		err.Body = body
	}
	fields, _ := body.(map[string]any)
	detail, _ := fields["error"].(map[string]any)
	metadata, _ := fields["metadata"].(map[string]any)
	err.Type, err.Reason, err.Param = text(detail["type"]), text(detail["code"]), text(detail["param"])
	err.RequestID = firstText(requestIDOf(header), text(fields["request_id"]),
		RequestIDFromMetadata(metadata), text(detail["request_id"]))
	return err
}

// requestIDOf is the id that the answer's headers give.
func requestIDOf(header http.Header) string {
	return firstText(header.Get("X-DAOE-Request-ID"), header.Get("X-Request-ID"))
}

func firstText(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
