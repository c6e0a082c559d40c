#!/usr/bin/env bash
# Writes docs/errors.md: five mistakes, each made in six languages, and what their tools say.
# What is not installed (benches/peers.sh) keeps the text that the page has.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
page=$root/docs/errors.md
old=$(mktemp)
new=$(mktemp)
trap 'rm -f "$old" "$new"' EXIT
[ ! -f "$page" ] || cp "$page" "$old"
peers=$(realpath -m "${ORDAIN_PEERS:-target/peers}")
ordain=$(realpath -m "${ORDAIN:-target/debug/ordain}")
cd benches/compile/errors

# What a tool says, as plain text, without colors, this machine's folders and trailing blanks.
plain() {
  sed -e 's/\x1b\[[0-9;]*m//g' -e "s#file://$PWD/##g" -e "s#$PWD/##g" -e 's/[[:space:]]*$//' | sed -e '/./,$!d'
}

# KCL comes as a Python library, which puts its own trace around the message.
kcl() {
  PYTHONPATH=$peers/kcl python3 - "$1" <<'PYTHON' 2>&1
import sys
import kcl_lib.api as api
try:
    said = api.API().exec_program(api.ExecProgramArgs(k_filename_list=[sys.argv[1]]))
    print(said.err_message or said.yaml_result)
except Exception as error:
    print(str(error).strip())
PYTHON
}

say() { # tool, case
  case $1 in
    Ordain) [ ! -x "$ordain" ] || "$ordain" check "$2.ord" 2>&1 || true ;;
    jrsonnet) [ ! -x "$peers/bin/jrsonnet" ] || "$peers/bin/jrsonnet" "$2.jsonnet" 2>&1 || true ;;
    Pkl) [ ! -x "$peers/node_modules/.bin/pkl" ] || "$peers/node_modules/.bin/pkl" eval --no-project "$2.pkl" 2>&1 || true ;;
    Nickel) [ ! -x "$peers/bin/nickel" ] || "$peers/bin/nickel" export "$2.ncl" 2>&1 || true ;;
    KCL) [ ! -d "$peers/kcl/kcl_lib" ] || kcl "$2.k" || true ;;
  esac
}

# The block of a case and a tool in the page as it was.
kept() { # tool, case
  awk -v tool="### $1" -v mistake="## \`$2\`" '
    index($0, "## ") == 1 { in_case = index($0, mistake) == 1 }
    index($0, "### ") == 1 { in_tool = in_case && $0 == tool; next }
    in_tool && /^```/ { if (inside) exit; inside = 1; next }
    in_tool && inside { print }
  ' "$old"
}

cat > "$new" <<'HEAD'
# Five mistakes, side by side

The same small program with the same mistake in six languages, and all that their tools say. The programs are in
`benches/compile/errors`; `benches/errors.sh` runs what is installed and writes this page, and a test holds Ordain's part.

| | Ordain | Nickel 1.18 | KCL 0.13 | Pkl 0.28 | CUE (1) | jrsonnet 0.5 |
| --- | --- | --- | --- | --- | --- | --- |
| `typo`: a field's name | both places, the field that is meant | the record, a general hint | line, the field that is meant | line, the field that is meant | line, no hint | **accepted** |
| `type`: a string for a port | both places | both places | both places | both places, the value | three positions, no text | the schema's assertion |
| `range`: port 70000 | both places, the bounds | both places | the record, a message of the schema's author | both places, the value | two positions, the bounds | the schema's assertion |
| `missing`: no image | both places | both places | the record | the schema | the record | the schema |
| `two`: two of them at once | **two** | one | one | one | two, and one that is none | one |
| the Kubernetes object | named in every case | – | – | – | – | – |
| found | before evaluation | when evaluated | before, or when evaluated | when evaluated | when evaluated | when evaluated |

(1) CUE cannot be installed by `benches/peers.sh`. Its column is from an earlier run of a build from source, of the program
beside the others (`*.cue`); its texts are not shown.
HEAD
for mistake in typo type range missing two; do
  {
    printf '\n## `%s`\n' "$mistake"
    for tool in Ordain Nickel KCL Pkl jrsonnet; do
      text=$(say "$tool" "$mistake" | plain)
      [ -n "$text" ] || text=$(kept "$tool" "$mistake")
      printf '\n### %s\n\n```text\n%s\n```\n' "$tool" "$text"
    done
  } >> "$new"
done
cp "$new" "$page"
echo "wrote docs/errors.md"
