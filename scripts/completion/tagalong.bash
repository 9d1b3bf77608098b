# SPDX-License-Identifier: Apache-2.0
# Completion of the tagalong command for bash: source it, or install it as
# /usr/share/bash-completion/completions/tagalong.

# The options of a verb, as its help names them.
_tagalong_options() {
	"$1" "$2" --help 2>/dev/null |
		sed -n 's/^  \(-[A-Za-z], \|    \)\(--[a-z-]*\).*/\2/p'
}

# The verb in front of the cursor and the place of the program's own command line, if it began.
_tagalong_scan() {
	local i word options_end=0
	verb= command_at=0
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ -z $verb ]]; then
			verb=$word
		elif [[ $verb == run || $verb == doctor ]]; then
			if ((options_end)) || [[ $word != -* ]]; then
				command_at=$i
				return
			fi
			case $word in
			--) options_end=1 ;;
			--service | --endpoint | --file | --link | --sample | --log | --env | --timeout | -[sefE])
				((i++)) ;;
			esac
		fi
	done
	((options_end)) && command_at=$COMP_CWORD
}

_tagalong_value() {
	case $1 in
	--link) COMPREPLY=($(compgen -W 'exact best' -- "$cur")) ;;
	--color) COMPREPLY=($(compgen -W 'auto always never' -- "$cur")) ;;
	--log) COMPREPLY=($(compgen -W 'stderr' -- "$cur") $(compgen -f -- "$cur")) ;;
	--file) COMPREPLY=($(compgen -f -- "$cur")) ;;
	--directory | -d) COMPREPLY=($(compgen -d -- "$cur")) ;;
	-f) [[ $verb == run || $verb == agent || $verb == doctor ]] && COMPREPLY=($(compgen -f -- "$cur")) ;;
	--env | -E) COMPREPLY=($(compgen -v -S = -- "$cur")) ;;
	--service | --endpoint | --sample | --timeout | --trace-id | --last | --settle | --width | \
		--expect | --min-spans | --wait) COMPREPLY=() ;;
	*) return 1 ;;
	esac
	[[ $1 != -f || $verb == run || $verb == agent || $verb == doctor ]]
}

_tagalong() {
	local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local verb command_at
	COMPREPLY=()
	_tagalong_scan
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W 'run agent doctor view check version help --help --version' -- "$cur"))
	elif ((command_at)); then
		if declare -F _command_offset >/dev/null; then
			_command_offset "$command_at"
		elif ((command_at == COMP_CWORD)); then
			COMPREPLY=($(compgen -c -- "$cur"))
		else
			COMPREPLY=($(compgen -f -- "$cur"))
		fi
	elif _tagalong_value "$previous"; then
		return
	elif [[ $verb == help ]]; then
		COMPREPLY=($(compgen -W 'run agent doctor view check version' -- "$cur"))
	elif [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$(_tagalong_options "${COMP_WORDS[0]}" "$verb") --" -- "$cur"))
	elif [[ $verb == run || $verb == doctor ]]; then
		COMPREPLY=($(compgen -c -- "$cur"))
	elif [[ $verb == view || $verb == check ]]; then
		COMPREPLY=($(compgen -f -- "$cur"))
	fi
}

complete -o filenames -o bashdefault -F _tagalong tagalong
