# For those who type make; the work is in doorward.sh, which needs none.
.PHONY: run test setup ci
run test:
	./doorward.sh $@
setup:
	./doorward.sh setup test
ci:
	.ci/run
