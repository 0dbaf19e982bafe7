package model_test

import (
	"testing"

	"pairsync/internal/testbed"
)

func TestMain(m *testing.M) { testbed.Main(m) }
