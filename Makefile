# make lab     six gateways on real strongSwan, kernel and BIRD (root); LAB=pair: two
#              LAB=ipv4: the same with IPv4 only, without private namespaces
#              ONLY=word: of the failures those with this word in their name (not LAB=pair)
#              ALERTS=1: with a Prometheus that has to raise the right alerts (not LAB=pair)
#              KEEP=1: leave it running; make lab-shell: a shell in it; make lab-stop: end it
# make test    everything: check, lab-tests, alerts, page, and the labs (ipv4: one failure) (root)
# make lab-tests  tests on the real peers, without the labs (root)
# make check   lint, format, types, unit tests (no root, under a minute)
# make fuzz    hostile input for every parser: counts, rates and growth; N=1000000 SEED=1 by default
#              (an hour for 10 million), ONLY=vici: targets with this word in their name
# make chaos   faults by chance, and whether all is as before after each (root; 5 to 10 s each where
#              the processor is emulated); SEED=1 N=500 by default, FIRST=7: from that one on,
#              ONLY=word: those with this word in their name; STAND_IN=1: with VXLANs on this
#              kernel, many times faster where it has no VTI; JOBS=4: four systems side by side
# make alerts  promtool and Prometheus over alerts, dashboard and metrics (root; under a minute,
#              after the first time)
# make page    the page in a real Chromium, with pictures of it in lab-out/ (root; under a minute,
#              after the first time)
# make frr     docs/frr.md with Debian's FRR between two gateways (root; minutes)
# make apparmor vtid under its AppArmor profile in force (root; minutes)
# make sidecar build the images, and try charon, BIRD and vtid as pods (root; 4 to 8 minutes)
# make deb     a Debian package per release, built twice, tried on a bare Debian; in lab-out/deb
#              (root; 5 minutes each); OS=trixie: that one only
# make bench   vtid beside what one would have instead, in one table (root; 6 minutes where the
#              processor is emulated); N=100 ROUNDS=1: a short form; STAND_IN=1: both with VXLANs
#              on this kernel and processor, where it has no VTI
# make storms  all tunnels come, go and are reloaded at once: is the event loop held? (root;
#              2 minutes; VXLANs stand in for VTIs, so no processor is emulated); N=1000 by default,
#              BLAME=1: print what holds the loop; PROFILE=1: profiles of each, in lab-out/profile
# make sbom    bill of materials (CycloneDX) and licences of the image's Python packages, in lab-out/
# make clean   remove .venv and lab-out
# make format  let ruff write the files as it wants them
# make lock    choose the newest dependencies and write requirements*.txt
#
# Where real peers are tried (all of them but sidecar and deb), these say on what:
#   OS=bookworm   Debian 12: kernel 6.1, strongSwan 5.9, nftables 1.0, Python 3.11 (the default)
#   OS=trixie     Debian 13: kernel 6.12, strongSwan 6.0, nftables 1.1, Python 3.13
#   BIRD=2        2.0 on bookworm, 2.17 on trixie (the default)
#   BIRD=3        3.1, on trixie
#   BIRD=1.6      1.6 with its daemons bird and bird6, on bookworm

.NOTPARALLEL:
.PHONY: lab lab-shell lab-stop test check lint unit fuzz chaos lab-tests alerts page frr apparmor sidecar \
	deb bench storms sbom format lock clean

# A Python of 3.11 or later, the system's own if it will do; make takes it from Debian if need be.
GOOD := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON := $(shell for p in /usr/bin/python3 python3; do \
	$$p -c '$(GOOD)' 2>/dev/null && echo $$p && exit; done; echo /usr/bin/python3)
APT := DEBIAN_FRONTEND=noninteractive apt-get -qq --no-install-recommends
BIN := .venv/bin
# The lab of six gateways, its older version with IPv4 only, or two gateways.
LAB ?= mesh
RUN_mesh := tests.lab.mesh mesh
RUN_ipv4 := tests.lab.mesh ipv4
RUN_pair := tests.lab.pair
OS ?= bookworm
BIRD ?= 2
HOST := $(BIN)/python -m tests.lab.host run --os "$(OS)" --bird "$(BIRD)"

lab: .venv/ready
	$(if $(RUN_$(LAB)),,$(error LAB=$(LAB) is unknown: choose mesh, ipv4 or pair))
	$(if $(ALERTS),$(if $(filter pair,$(LAB)),$(error ALERTS=1 is for LAB=mesh and LAB=ipv4)))
	@$(HOST) $(if $(KEEP),--keep) $(if $(ALERTS),--with prometheus) -- \
		python3 -m $(RUN_$(LAB)) $(if $(ALERTS),--alerts) $(ONLY)

lab-shell lab-stop: .venv/ready
	@$(BIN)/python -m tests.lab.host $(@:lab-%=%)

test: check lab-tests alerts page
	@$(MAKE) --no-print-directory lab LAB=pair
	@$(MAKE) --no-print-directory lab LAB=ipv4 ONLY=vtid
	@$(MAKE) --no-print-directory lab LAB=mesh

check: lint unit

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# In two processes, one for each CPU: it has to stay under a minute.
HALF = tests/bird tests/config tests/core tests/esp tests/daemon
unit: .venv/ready
	@mkdir -p lab-out
	@$(BIN)/pytest -m "not lab" $(HALF) >lab-out/unit.log 2>&1 & half=$$!; \
	trap 'kill $$half 2>/dev/null' EXIT; trap 'exit 130' INT TERM; \
	$(BIN)/pytest -m "not lab" $(HALF:%=--ignore=%); status=$$?; \
	wait $$half || status=1; trap - EXIT; cat lab-out/unit.log; exit $$status

fuzz: .venv/ready
	@nice $(BIN)/python -m tests.fuzz --inputs "$(if $(filter file,$(origin N)),1000000,$(N))" \
		--seed "$(or $(SEED),1)" --only "$(ONLY)"

chaos: .venv/ready
	@$(HOST) --limit 14400 $(if $(STAND_IN),--for daemons) -- python3 -m tests.chaos \
		--seed "$(or $(SEED),1)" --faults "$(if $(filter file,$(origin N)),500,$(N))" \
		--first "$(or $(FIRST),0)" --only "$(ONLY)" $(if $(STAND_IN),--stand-in) \
		--jobs "$(or $(JOBS),1)" --within "$(or $(WITHIN),60)"

# Three runs at once: those that any kernel will do for wait for daemons most of the time, and an
# emulated machine seldom keeps more than one processor busy. So there are two of them, which take
# about as long: the second has the lives of tunnels whose files begin with r to z.
LAB_TESTS = python3 -m pytest -p no:cacheprovider --durations=15
lab-tests: .venv/ready
	@mkdir -p lab-out
	@$(HOST) --limit 3000 --for daemons -- $(LAB_TESTS) -m "lab and any_kernel" \
		>lab-out/daemons.log 2>&1 & daemons=$$!; \
	$(HOST) --limit 3000 --console life-console -- $(LAB_TESTS) -m "lab and not any_kernel" \
		--ignore-glob='*/life/test_[a-q]*' tests/life >lab-out/life.log 2>&1 & life=$$!; \
	trap 'kill $$daemons $$life 2>/dev/null' EXIT; trap 'exit 130' INT TERM; \
	$(HOST) --limit 3000 -- $(LAB_TESTS) -m "lab and not any_kernel" \
		--ignore-glob='*/life/test_[r-z]*'; status=$$?; \
	wait $$daemons || status=1; wait $$life || status=1; trap - EXIT; \
	cat lab-out/daemons.log lab-out/life.log; exit $$status

alerts: .venv/ready
	@$(HOST) --for daemons --with prometheus -- \
		sh -c "python3 -m tests.prometheus.trial && python3 -m tests.prometheus.live && \
			python3 -m tests.lab.alerts.trial"

# The pictures in docs/page/ are copies of those that this leaves in lab-out/.
page: .venv/ready
	@$(HOST) --for daemons --with "chromium fonts-dejavu-core" -- python3 -m tests.page.trial

frr: .venv/ready
	@$(HOST) --with frr -- python3 -m pytest -p no:cacheprovider tests/life/frr_trial.py -m lab

# A machine in any case: profiles are the kernel's, not a namespace's.
apparmor: .venv/ready
	@$(HOST) --mode vm --with apparmor -- \
		python3 -m pytest -p no:cacheprovider tests/apparmor_trial.py -m lab

PODMAN := podman crun conmon netavark aardvark-dns catatonit
sidecar: .venv/ready
	@$(BIN)/python -m tests.sidecar.images
	@$(BIN)/python -m tests.lab.host run --os trixie --mode vm --with "$(PODMAN)" -- \
		python3 -m tests.sidecar.trial

# Without OS=, for every release.
deb: .venv/ready
	@$(BIN)/python -m tests.packaging.deb $(if $(filter file,$(origin OS)),,$(OS))

N ?= 1000
ROUNDS ?= 3
bench: .venv/ready
	@$(HOST) --limit 7200 $(if $(STAND_IN),--for daemons) -- python3 -m tests.bench.table \
		--tunnels "$(N)" --rounds "$(ROUNDS)" $(if $(STAND_IN),--stand-in)

storms: .venv/ready
	@$(HOST) --for daemons --limit 7200 -- python3 -m tests.bench.storms --tunnels "$(N)"

# In environments of their own: one with the tools, one with what the image has and nothing else.
SBOM := .venv/sbom
sbom: .venv/ready
	@mkdir -p lab-out
	@$(PYTHON) -m venv $(SBOM)/tools && $(PYTHON) -m venv --without-pip $(SBOM)/image
	@$(SBOM)/tools/bin/pip install -qq --require-hashes -r requirements-sbom.txt
	@$(SBOM)/tools/bin/pip --python $(SBOM)/image/bin/python install -qq --require-hashes -r requirements.txt
	@$(SBOM)/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--output-file lab-out/vtid.cdx.json $(SBOM)/image/bin/python
	@$(SBOM)/tools/bin/pip-licenses --python $(SBOM)/image/bin/python --format markdown --with-urls \
		--output-file lab-out/licences.md
	@echo "lab-out/vtid.cdx.json, lab-out/licences.md"

format: .venv/ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.venv/ready: requirements-dev.txt
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(APT) update; $(APT) -y install python3-venv; } \
		|| { echo "make: python3-venv is missing: apt-get install python3-venv as root" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(BIN)/pip install -qq --require-hashes -r requirements-dev.txt -r requirements-build.txt
	@touch $@

# No index URL is written, so that whoever installs uses the index that is configured there.
COMPILE = .venv/lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock"
lock: .venv/ready
	@test -x .venv/lock/bin/uv || { $(PYTHON) -m venv .venv/lock; .venv/lock/bin/pip install -qq uv; }
	$(COMPILE) pyproject.toml -o requirements.txt
	$(COMPILE) pyproject.toml -o requirements-dev.txt --extra dev --constraint requirements.txt
	$(COMPILE) requirements-build.in -o requirements-build.txt
	$(COMPILE) requirements-sbom.in -o requirements-sbom.txt

clean:
	rm -rf .venv lab-out
