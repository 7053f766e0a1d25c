package raftlog

import (
	"slices"
	"strings"
)

// survey is what the files tell before Badger may write to any of them.
type survey struct {
	newest state
	found  []*preflight // oldest first; the last one holds the newest state
	scrap  []string     // directories that nothing vouches for
}

func (v *survey) hint() string {
	var b strings.Builder
	for _, p := range v.found {
		b.WriteString(p.hint())
	}
	return b.String()
}

// surveyGenerations finds the newest state, and with it which generations must be there.
func surveyGenerations(dir string) (*survey, error) {
	numbers, err := generationNumbers(dir)
	if err != nil {
		return nil, err
	}
	v := &survey{}
	if numbers, err = v.findNewest(dir, numbers); err != nil {
		return nil, err
	}
	if err := v.addOlder(dir, numbers); err != nil {
		return nil, err
	}
	for _, n := range numbers {
		if n < v.newest.oldest {
			v.scrap = append(v.scrap, generationPath(dir, n))
		}
	}
	slices.Reverse(v.found)
	return v, nil
}

// findNewest returns the numbers up to the newest generation that was begun.
func (v *survey) findNewest(dir string, numbers []uint64) ([]uint64, error) {
	for last := len(numbers) - 1; last >= 0; last-- {
		p, begun, err := newestPreflight(generationPath(dir, numbers[last]))
		switch {
		case !begun && last > 0:
			v.scrap = append(v.scrap, p.dir)
			continue
		case err != nil:
			return nil, err
		}
		if err := v.add(p, numbers[last]); err != nil {
			return nil, err
		}
		v.newest = p.newest
		return numbers[:last+1], nil
	}
	return nil, corrupt(generationPath(dir, 0), "there is no generation of the log")
}

// addOlder takes those before the newest back to the oldest that its state vouches for.
func (v *survey) addOlder(dir string, numbers []uint64) error {
	newest := numbers[len(numbers)-1]
	if v.newest.oldest > newest {
		return corrupt(generationPath(dir, newest), "its state begins at generation %d", v.newest.oldest)
	}
	for n := newest; n > v.newest.oldest; {
		n--
		path := generationPath(dir, n)
		if !slices.Contains(numbers, n) {
			return corrupt(path, "this generation of the log is missing; %d to %d must be there", v.newest.oldest, newest)
		}
		p, err := runPreflight(path)
		if err != nil {
			return err
		}
		if err := v.add(p, n); err != nil {
			return err
		}
	}
	return nil
}

// add takes one more generation, an older one than those before.
func (v *survey) add(p *preflight, number uint64) error {
	p.number = number
	if !p.found {
		return corrupt(p.dir, "no write-ahead file and no table holds the store's state record%s", p.hint())
	}
	for _, w := range p.wals {
		// Its last transaction was durable before the next generation was begun, so no crash can have torn it.
		if len(v.found) > 0 && w.torn {
			return corrupt(w.path, "the file is damaged behind byte %d", w.validEnd)
		}
	}
	v.found = append(v.found, p)
	return nil
}

// newestPreflight also tells whether the generation was begun: not if it was made ahead, or if the server was killed in its
// first transaction. Nothing was acknowledged from such a one; if damage only makes it look so, the guard tells.
func newestPreflight(path string) (p *preflight, begun bool, err error) {
	p = &preflight{dir: path}
	if err := p.scanWALs(); err != nil {
		return p, true, err
	}
	tables, err := filesWith(path, ".sst")
	if err != nil {
		return p, true, err
	}
	err = p.checkTables() // whose list a making that was cut short lacks
	return p, p.found || err != nil && len(tables) > 0, err
}
