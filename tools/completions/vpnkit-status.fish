# fish completion for vpnkit-status(8)
set -l commands show flows top dns counters explain capture ports metrics log restart reload
set -l none "not __fish_seen_subcommand_from $commands"

complete -c vpnkit-status -s s -l socket -r -F -d 'admin socket'
complete -c vpnkit-status -l json -d 'print JSON'
complete -c vpnkit-status -f -n $none -a show -d 'processes and virtual machines'
complete -c vpnkit-status -f -n $none -a flows -d 'every flow'
complete -c vpnkit-status -f -n $none -a top -d 'flows, live'
complete -c vpnkit-status -f -n $none -a dns -d 'name servers and the last queries'
complete -c vpnkit-status -f -n $none -a counters -d 'counters of the processes'
complete -c vpnkit-status -f -n $none -a explain -d 'why packets and flows were lost'
complete -c vpnkit-status -f -n $none -a capture -d 'packets as pcapng'
complete -c vpnkit-status -f -n $none -a ports -d 'ports of the host that lead to guests'
complete -c vpnkit-status -f -n $none -a metrics -d 'everything as OpenMetrics'
complete -c vpnkit-status -f -n $none -a log -d 'how much is logged'
complete -c vpnkit-status -f -n $none -a restart -d 'end a process, which is started again'
complete -c vpnkit-status -f -n $none -a reload -d 'read the configuration files again'
complete -c vpnkit-status -f -n '__fish_seen_subcommand_from log' -a 'error warning info debug'
complete -c vpnkit-status -f -n '__fish_seen_subcommand_from restart counters log' -a 'ethd dnsd proxyd portd front diagd'
complete -c vpnkit-status -f -n '__fish_seen_subcommand_from counters' -l all
complete -c vpnkit-status -f -n '__fish_seen_subcommand_from explain' -a drops
complete -c vpnkit-status -f -n '__fish_seen_subcommand_from ports' -a 'add remove'
complete -c vpnkit-status -n '__fish_seen_subcommand_from capture' -l vm -x
complete -c vpnkit-status -n '__fish_seen_subcommand_from capture' -l proto -x -a 'tcp udp icmp arp'
complete -c vpnkit-status -n '__fish_seen_subcommand_from capture' -l host -x
complete -c vpnkit-status -n '__fish_seen_subcommand_from capture' -l port -x
complete -c vpnkit-status -n '__fish_seen_subcommand_from capture' -l count -x
complete -c vpnkit-status -n '__fish_seen_subcommand_from capture' -l snaplen -x
complete -c vpnkit-status -n '__fish_seen_subcommand_from capture' -l write -r -F
complete -c vpnkit-status -n '__fish_seen_subcommand_from capture' -l last
complete -c vpnkit-status -n '__fish_seen_subcommand_from capture' -l ring -x -a 'all dns ntp icmp http_proxy bad'
