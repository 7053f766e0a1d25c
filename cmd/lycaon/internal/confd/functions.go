package confd

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"
)

// functions are those that need neither the tree nor the environment. Their
// names and the order of their arguments are confd's where it has them.
var functions = template.FuncMap{
	"fail": func(text string) (string, error) { return "", errors.New(text) },

	"json":         fromJSON,
	"toJSON":       toJSON,
	"yaml":         fromYAML,
	"toYAML":       toYAML,
	"base64Encode": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64Decode": fromBase64,

	"split":      func(s, sep string) []string { return strings.Split(s, sep) },
	"join":       join,
	"lines":      func(s string) []string { return strings.Split(strings.TrimSuffix(s, "\n"), "\n") },
	"trim":       strings.TrimSpace,
	"trimPrefix": strings.TrimPrefix,
	"trimSuffix": strings.TrimSuffix,
	"replace":    strings.ReplaceAll,
	"toLower":    strings.ToLower,
	"toUpper":    strings.ToUpper,
	"contains":   strings.Contains,
	"hasPrefix":  strings.HasPrefix,
	"hasSuffix":  strings.HasSuffix,
	"indent":     indent,
	"quote":      strconv.Quote,
	"base":       path.Base,
	"dir":        path.Dir,

	"default":   func(d, s string) string { return orDefault(s, d) },
	"atoi":      strconv.Atoi,
	"parseBool": strconv.ParseBool,
	"add":       func(a, b int) int { return a + b },
	"sub":       func(a, b int) int { return a - b },
	"mul":       func(a, b int) int { return a * b },
	"div":       func(a, b int) (int, error) { return divide(a, b, a/max(b, 1)) },
	"mod":       func(a, b int) (int, error) { return divide(a, b, a%max(b, 1)) },
	"seq":       seq,
	"sort":      func(list []string) []string { return slices.Sorted(slices.Values(list)) },
	"reverse":   reverse,
	"list":      func(values ...any) []any { return values },
	"map":       makeMap,
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

func fromJSON(text string) (v any, err error) {
	err = json.Unmarshal([]byte(text), &v)
	return v, err
}

func toJSON(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

func fromYAML(text string) (v any, err error) {
	err = yaml.Unmarshal([]byte(text), &v)
	return v, err
}

func toYAML(v any) (string, error) {
	text, err := yaml.Marshal(v)
	return strings.TrimSuffix(string(text), "\n"), err
}

func fromBase64(text string) (string, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	return string(data), err
}

// join takes a list of texts, or of what JSON had in a list.
func join(list any, sep string) (string, error) {
	switch list := list.(type) {
	case []string:
		return strings.Join(list, sep), nil
	case []any:
		texts := make([]string, len(list))
		for i, v := range list {
			texts[i] = fmt.Sprint(v)
		}
		return strings.Join(texts, sep), nil
	}
	return "", fmt.Errorf("%T is no list", list)
}

// indent puts blanks before every line but the first, whose place the template
// has.
func indent(n int, text string) (string, error) {
	if n < 0 || n > 1000 {
		return "", fmt.Errorf("%d blanks are not within 0 to 1000", n)
	}
	return strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", n)), nil
}

func divide(a, b, result int) (int, error) {
	if b <= 0 {
		return 0, fmt.Errorf("%d by %d: want a divisor above 0", a, b)
	}
	return result, nil
}

// seq counts from one number to another.
func seq(from, to int) ([]int, error) {
	if to < from {
		return nil, nil
	}
	if uint(to)-uint(from) >= maxSeq {
		return nil, fmt.Errorf("%d to %d are more than %d numbers", from, to, maxSeq)
	}
	numbers := make([]int, to-from+1)
	for i := range numbers {
		numbers[i] = from + i
	}
	return numbers, nil
}

func reverse(list []string) []string {
	turned := slices.Clone(list)
	slices.Reverse(turned)
	return turned
}

// makeMap makes a map of names and values in turn.
func makeMap(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("a name without a value")
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("%v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}
