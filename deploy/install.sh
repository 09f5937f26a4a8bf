#!/bin/sh
# Installs Haywain's agent as a service of this Linux machine, or removes it. docs/installing.md tells what goes where.
#
# An orchestrator serves it (GET /install) with its own URL in the line below; it also works beside the files that it installs.
# The token comes from a file, a variable or a prompt, never from the command line, which everybody on a machine can read.
# All of it is in functions: half a script that was cut off on its way does nothing.
set -eu

SERVED_BY=''

ACCOUNT=haywain-agent
PROGRAM=/usr/local/bin/haywain-agent
SERVICE=haywain-agent.service
UNIT=/etc/systemd/system/$SERVICE
SETTINGS=/etc/haywain
CONFIG=$SETTINGS/agent.toml
ENROLMENT=$SETTINGS/enrolment
AUTHORITY=$SETTINGS/ca.pem
DATA=/var/lib/haywain-agent
# How many seconds a first start may take: a Blender is started to see what it can do here.
PATIENCE=120

usage() {
    cat <<'END'
Installs Haywain's agent as a service of this machine, or removes it.

  --orchestrator URL   where the orchestrator is
  --token-file FILE    a file with the enrolment token (else the variable HAYWAIN_TOKEN, else it is asked for)
  --ca FILE            the orchestrator's certificate authority, if it is your own
  --from FOLDER        take the agent from this folder instead of the orchestrator
  --proxy URL          the proxy that leads out, for this script and for the agent
  --yes                ask nothing; install Blender, or remove everything, without asking
  --uninstall          remove the agent, its settings and its data
  --help               this text
END
}

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
    warn "error: $*"
    exit 1
}

can_ask() { [ "$yes" = no ] && (: </dev/tty >/dev/tty) 2>/dev/null; }

# Asks for a line; the answer is in $answer. The script itself may come through standard input.
ask() {
    printf '%s ' "$1" >/dev/tty
    IFS= read -r answer </dev/tty || answer=''
}

ask_secretly() {
    hidden=yes
    stty -echo </dev/tty
    ask "$1"
    show_again
}

# What is typed is to be seen again, also after Ctrl-C.
show_again() {
    if [ "$hidden" = yes ]; then stty echo </dev/tty && printf '\n' >/dev/tty; fi
    hidden=no
}

agrees() {
    ask "$1 [y/N]"
    case $answer in [yY] | [yY][eE][sS]) return 0 ;; *) return 1 ;; esac
}

has_systemd() { [ -d /run/systemd/system ]; }

check_url() {
    case $1 in http://?* | https://?*) ;; *) die "the orchestrator's URL begins with http:// or https://, not so: $1" ;; esac
    # It is written into a file between quotation marks.
    case $1 in *[!][A-Za-z0-9:/._~%-]*) die "this URL has characters that no orchestrator's has: $1" ;; esac
}

check_proxy() {
    case $1 in http://?* | https://?* | socks5://?* | socks5h://?*) ;; *) die "a proxy's URL begins with http://, https:// or socks5://" ;; esac
    # It is written into a file between quotation marks, and may have a password in it: it is not told.
    case $1 in *[!][A-Za-z0-9:/._~%@-]*) die "this proxy's URL has characters that are to be written as %XX" ;; esac
}

# What it is not is never told: it may be half of a token.
check_token() {
    case $1 in haywain_enrol_?*) ;; *) die "that is no enrolment token: one begins with haywain_enrol_" ;; esac
    case $1 in *[!A-Za-z0-9_-]*) die "that is no enrolment token: it has characters that none has" ;; esac
}

read_arguments() {
    orchestrator='' token_file='' authority='' from='' yes=no proxy='' task=install hidden=no
    while [ $# -gt 0 ]; do
        case $1 in
            --orchestrator | --token-file | --ca | --from | --proxy) [ $# -gt 1 ] || die "$1 needs a value" ;;
        esac
        case $1 in
            --orchestrator) orchestrator=$2 && shift ;;
            --token-file) token_file=$2 && shift ;;
            --ca) authority=$2 && shift ;;
            --from) from=$2 && shift ;;
            --proxy) proxy=$2 && shift ;;
            --yes) yes=yes ;;
            --uninstall) task=uninstall ;;
            --help) task=help ;;
            *) die "there is no flag $1; --help names all" ;;
        esac
        shift
    done
    orchestrator=${orchestrator%/}
}

look_at_the_machine() {
    [ "$(uname -s)" = Linux ] || die "this is for Linux; elsewhere start haywain-agent by hand"
    [ "$(id -u)" = 0 ] || die "only root can make a service: put sudo before sh"
    if [ -e /usr/bin/haywain-agent ]; then
        die "this machine has the agent from a package: edit $CONFIG, or remove it by apt-get purge haywain-agent"
    fi
}

has_blender() {
    command -v blender >/dev/null && return 0
    for program in /opt/[bB]lender*/blender; do
        [ -x "$program" ] && return 0
    done
    python3 -c 'import bpy' >/dev/null 2>&1
}

ensure_blender() {
    if has_blender; then return; fi
    if command -v apt-get >/dev/null; then
        if [ "$yes" = yes ] || { can_ask && agrees "There is no Blender here. Install the system's, by apt-get (about 1 GB)?"; }; then
            # One of many sources may be away, and Blender in another.
            apt-get update </dev/null || warn "apt-get update has failed: going on with what it knows"
            DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends blender </dev/null
            return
        fi
    fi
    warn "There is no Blender here: the agent waits for one. Install your system's, or unpack the archive from blender.org below /opt."
}

# Where the orchestrator is: only asked where no file says it already. The files come from the one that was named, or that served this.
find_orchestrator() {
    origin=${orchestrator:-$SERVED_BY}
    if [ -n "$origin" ]; then check_url "$origin"; fi
    if [ -e "$CONFIG" ]; then
        orchestrator=$(sed -n 's/^orchestrator *= *"\(.*\)" *$/\1/p' "$CONFIG")
        say "$CONFIG is there already and stays as it is."
        return
    fi
    orchestrator=$origin
    if [ -z "$orchestrator" ]; then
        can_ask || die "where is the orchestrator? Say --orchestrator URL"
        ask "The orchestrator's URL:"
        orchestrator=${answer%/}
    fi
    check_url "$orchestrator"
}

# An agent that is let in by a token of its own needs no other.
find_token() {
    if [ -n "$token_file" ]; then
        token=$(cat "$token_file")
    elif [ -z "$token" ] && ! is_let_in && can_ask; then
        ask_secretly "The enrolment token (nothing, if the orchestrator asks for none):"
        token=$answer
    fi
    if [ -n "$token" ]; then check_token "$token"; fi
}

download() {
    if command -v curl >/dev/null; then
        curl -fsS ${authority:+--cacert "$authority"} -o "$2" "$1"
    elif command -v wget >/dev/null; then
        wget -q ${authority:+--ca-certificate="$authority"} -O "$2" "$1"
    else
        die "neither curl nor wget is here: install one of them"
    fi || die "$1 can't be had; what the program says is above"
}

# Takes one of the files to be installed ($1, or what it is called in a folder: $2) to $3.
take() {
    if [ -z "$from" ]; then
        download "${origin:-$orchestrator}/install/$1" "$3"
        return
    fi
    for name in "$1" "$2"; do
        if [ -f "$from/$name" ]; then
            cp "$from/$name" "$3"
            return
        fi
    done
    die "there is neither $1 nor $2 in $from"
}

# Puts $1 in the place of $2, if it is another; whether it was, is in $changed.
replace() {
    if cmp -s "$1" "$2"; then
        rm "$1"
    else
        mv -f "$1" "$2"
        changed=yes
    fi
}

make_account() {
    if ! id "$ACCOUNT" >/dev/null 2>&1; then
        if command -v useradd >/dev/null; then
            useradd --system --user-group --no-create-home --home-dir "$DATA" --shell /usr/sbin/nologin "$ACCOUNT"
        else
            addgroup -S "$ACCOUNT"
            adduser -S -D -H -h "$DATA" -s /sbin/nologin -G "$ACCOUNT" "$ACCOUNT"
        fi
    fi
    # Whoever may use the GPUs here.
    for group in video render; do
        if getent group "$group" >/dev/null && command -v usermod >/dev/null; then usermod -aG "$group" "$ACCOUNT"; fi
    done
    mkdir -p "$DATA"
    chown "$ACCOUNT": "$DATA"
    chmod 750 "$DATA"
}

put_program() {
    take "haywain-agent-$(uname -m)" haywain-agent "$PROGRAM.new"
    chmod 755 "$PROGRAM.new"
    # Something else may have answered in the orchestrator's place; to run a file with nothing in it does not fail.
    [ -s "$PROGRAM.new" ] || die "the agent's program came without anything in it"
    "$PROGRAM.new" --version || die "the agent does not run on this machine; what it says is above"
    replace "$PROGRAM.new" "$PROGRAM"
}

status() { "$PROGRAM" --config "$CONFIG" status "$@" 2>&1; }

is_registered() {
    told=$(status --json) || return 1
    case $told in *'"doing": "registering"'*) return 1 ;; esac
}

is_let_in() { [ -e "$DATA/token" ] && [ -x "$PROGRAM" ] && is_registered; }

write_settings() {
    mkdir -p "$SETTINGS"
    if [ -n "$authority" ] && ! cmp -s "$authority" "$AUTHORITY"; then
        cp "$authority" "$AUTHORITY"
        chmod 644 "$AUTHORITY"
        changed=yes
    fi
    # One that is registered goes by its own: there is no need to stop it.
    if [ -n "$token" ] && ! is_let_in; then
        rm -f "$ENROLMENT"
        (umask 077 && printf '%s\n' "$token" >"$ENROLMENT")
        chown "root:$ACCOUNT" "$ENROLMENT"
        chmod 640 "$ENROLMENT"
        changed=yes
    fi
    if [ -e "$CONFIG" ]; then return; fi
    {
        say "# Written by install.sh, which never changes it again. All settings: haywain-agent --help"
        say "orchestrator = \"$orchestrator\""
        say "data_dir = \"$DATA\""
        say "token_file = \"$ENROLMENT\""
        if [ -n "$authority" ]; then say "ca = \"$AUTHORITY\""; fi
    } >"$CONFIG"
    chmod 644 "$CONFIG"
    changed=yes
}

put_unit() {
    take "$SERVICE" "systemd/$SERVICE" "$UNIT.part"
    sed "s|^ExecStart=/usr/bin/|ExecStart=${PROGRAM%/*}/|" "$UNIT.part" >"$UNIT.new"
    rm "$UNIT.part"
    chmod 644 "$UNIT.new"
    replace "$UNIT.new" "$UNIT"
    if [ -n "$proxy" ]; then
        mkdir -p "$UNIT.d"
        # A percent sign is something else to systemd. There may be a password in it: it is root's to read.
        escaped=$(printf '%s' "$proxy" | sed 's/%/%%/g')
        (umask 077 && printf '[Service]\nEnvironment="HTTPS_PROXY=%s" "HTTP_PROXY=%s"\n' "$escaped" "$escaped" >"$UNIT.part")
        replace "$UNIT.part" "$UNIT.d/proxy.conf"
    fi
    systemctl daemon-reload
    systemctl --quiet enable "$SERVICE"
}

# Waits until the orchestrator knows the agent, and says whether it does.
report() {
    say "Waiting for the orchestrator at $orchestrator to know this agent ..."
    waited=0
    until is_registered; do
        if [ "$waited" -ge "$PATIENCE" ]; then
            status || :
            journalctl --quiet --no-pager --lines 5 --unit "$SERVICE" || :
            die "the agent is installed and goes on trying, and has not reached the orchestrator yet; why is said above"
        fi
        sleep 1
        waited=$((waited + 1))
    done
    # It has a token of its own by now.
    rm -f "$ENROLMENT"
    say "The agent is registered at $orchestrator, and works as the service haywain-agent."
}

install() {
    # What is made here is for the service to read, whatever root's own habits are.
    umask 022
    trap 'show_again; rm -f "$PROGRAM.new" "$UNIT.part" "$UNIT.new"' EXIT
    trap 'exit 1' HUP INT TERM
    changed=no
    if [ -z "$from" ] && [ -z "$SERVED_BY" ] && [ -f "$0" ]; then
        beside=$(dirname "$0")
        if [ -f "$beside/haywain-agent" ]; then from=$beside; fi
    fi
    if [ -z "$authority" ] && [ -e "$AUTHORITY" ]; then authority=$AUTHORITY; fi
    if [ -n "$proxy" ]; then
        check_proxy "$proxy"
        export HTTPS_PROXY="$proxy" https_proxy="$proxy" HTTP_PROXY="$proxy" http_proxy="$proxy"
    fi
    find_orchestrator
    find_token
    ensure_blender
    put_program
    make_account
    write_settings
    if ! has_systemd; then
        say "systemd does not run here, so that there is no service. All else is in its place; start the agent by"
        say "    runuser -u $ACCOUNT -- $PROGRAM --config $CONFIG"
        return
    fi
    put_unit
    if [ "$changed" = yes ]; then
        systemctl restart "$SERVICE"
    else
        systemctl start "$SERVICE"
    fi
    report
}

uninstall() {
    if [ "$yes" = no ]; then
        can_ask || die "this removes the agent and all that it has in $DATA: say --yes"
        agrees "Remove the agent, $CONFIG, and $DATA with frames that were not delivered yet?" || die "nothing was removed"
    fi
    if has_systemd && [ -e "$UNIT" ]; then
        systemctl --quiet disable --now "$SERVICE"
        rm -rf "$UNIT" "$UNIT.d"
        systemctl daemon-reload
        systemctl reset-failed "$SERVICE" 2>/dev/null || :
    fi
    if [ -x "$PROGRAM" ] && status --json >/dev/null; then
        die "the agent still runs, though not as a service: stop it first"
    fi
    if id "$ACCOUNT" >/dev/null 2>&1; then
        if command -v userdel >/dev/null; then
            userdel "$ACCOUNT"
            # Where users' groups are not made with them they do not go with them either.
            if getent group "$ACCOUNT" >/dev/null; then groupdel "$ACCOUNT"; fi
        else
            deluser "$ACCOUNT"
        fi
    fi
    rm -rf "$DATA"
    rm -f "$PROGRAM" "$CONFIG" "$ENROLMENT" "$AUTHORITY"
    if [ -d "$SETTINGS" ]; then rmdir "$SETTINGS" 2>/dev/null || say "$SETTINGS has files of others, which stay."; fi
    say "The agent is gone from this machine. Shut its token out at the orchestrator: haywain-orchestrator token revoke NAME"
}

main() {
    # Nothing that is started here gets to see it.
    token=${HAYWAIN_TOKEN:-}
    unset HAYWAIN_TOKEN
    read_arguments "$@"
    if [ "$task" = help ]; then
        usage
        return
    fi
    look_at_the_machine
    "$task"
}

main "$@"
