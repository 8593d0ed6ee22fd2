# bash completion for vpnkit-status(8)
_vpnkit_status() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local commands="show flows top dns counters explain capture ports metrics log
	    restart reload" cmd= w
	local names='ethd dnsd proxyd portd front diagd'

	for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		[[ " ${commands//$'\n'/ } " == *" $w "* ]] && cmd=$w && break
	done
	case $prev in
	-s | --socket | -w | --write)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	--proto) w="tcp udp icmp arp" ;;
	--ring) w="all dns ntp icmp http_proxy bad" ;;
	*)
		case $cmd in
		'') w="$commands --socket --json --help --version" ;;
		log) w="error warning info debug vpnkit $names" ;;
		restart) w=$names ;;
		counters) w="--all $names" ;;
		explain) w=drops ;;
		capture) w="--vm --proto --host --port --count --snaplen
			    --write --last --ring" ;;
		top) w=-d ;;
		ports) w="add remove" ;;
		*) w= ;;
		esac ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$w" -- "$cur")
}
complete -F _vpnkit_status vpnkit-status
