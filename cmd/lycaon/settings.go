package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// envPrefix begins the name of every environment variable: --data-dir is
// LYCAON_DATA_DIR.
const envPrefix = "LYCAON_"

func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// applySettings fills the flags that were not typed from the environment,
// then those still unset from a YAML file whose keys are the flags' names.
// Flag beats environment beats file beats default.
func applySettings(flags *pflag.FlagSet, getenv func(string) string, file string) error {
	if err := applyEnv(flags, getenv); err != nil {
		return err
	}
	if file == "" {
		return nil
	}
	return applyFile(flags, file)
}

func applyEnv(flags *pflag.FlagSet, getenv func(string) string) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		value := getenv(envName(f.Name))
		if failed != nil || f.Changed || value == "" || f.Name == "help" {
			return
		}
		for _, one := range valuesOf(f, value) {
			if err := flags.Set(f.Name, one); err != nil {
				failed = usageError{fmt.Errorf("%s=%q: %s", envName(f.Name), one, valueRule(err))}
			}
		}
	})
	return failed
}

// valuesOf takes a variable apart: a flag that may be repeated has a value a
// line.
func valuesOf(f *pflag.Flag, variable string) []string {
	if _, repeated := f.Value.(pflag.SliceValue); !repeated {
		return []string{variable}
	}
	return strings.FieldsFunc(variable, func(r rune) bool { return r == '\n' })
}

// variable is the other way round: how an environment says it.
func variable(flag string, values ...string) string {
	return envName(flag) + "=" + strings.Join(values, "\n")
}

func applyFile(flags *pflag.FlagSet, file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return usageError{fmt.Errorf("--config: %w", err)}
	}
	var doc, more yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(raw))
	if err := in.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return usageError{fmt.Errorf("%s: %w", file, err)}
	}
	if len(doc.Content) == 0 {
		return nil
	}
	if err := in.Decode(&more); !errors.Is(err, io.EOF) {
		return usageError{errors.Join(fmt.Errorf("%s: want one document", file), err)}
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return usageError{fmt.Errorf("%s:%d: want lines of the form key: value", file, top.Line)}
	}
	seen := map[string]bool{} // a key that was set by a flag may stand here, but once
	for i := 0; i+1 < len(top.Content); i += 2 {
		if key := top.Content[i]; seen[key.Value] {
			return usageError{fmt.Errorf("%s:%d: %s is given twice", file, key.Line, key.Value)}
		}
		seen[top.Content[i].Value] = true
		if err := applyKey(flags, file, top.Content[i], top.Content[i+1]); err != nil {
			return usageError{err}
		}
	}
	return nil
}

func applyKey(flags *pflag.FlagSet, file string, key, value *yaml.Node) error {
	f := flags.Lookup(key.Value)
	if f == nil || key.Value == "config" || key.Value == "help" {
		return fmt.Errorf("%s:%d: unknown key %q; known keys: %s", file, key.Line, key.Value, strings.Join(knownKeys(flags), " "))
	}
	if value.Kind != yaml.ScalarNode {
		return fmt.Errorf("%s:%d: %s wants a single value", file, value.Line, key.Value)
	}
	if f.Changed {
		return nil
	}
	if err := flags.Set(f.Name, value.Value); err != nil {
		return fmt.Errorf("%s:%d: %s %q: %s", file, value.Line, key.Value, value.Value, valueRule(err))
	}
	return nil
}

func knownKeys(flags *pflag.FlagSet) []string {
	var keys []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" && f.Name != "help" {
			keys = append(keys, f.Name)
		}
	})
	slices.Sort(keys)
	return keys
}
