# Made from the program's table of settings by `make packaging`; do not edit.

_chatixia_sidecar() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words='' files=''
    # The equals sign of --flag=value is a word of its own.
    if [[ $word == = ]]; then
        word=''
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $before in
        --allow-unproven) words='on off' ;;
        --peer-trust) words='registry first-use known' ;;
        --mesh) words='full lazy' ;;
        --metered) words='on off' ;;
        --ipv6) words='on off' ;;
        --ice-transport-policy) words='all relay' ;;
        --ice-servers-from-registry) words='on off' ;;
        --report-topology) words='on off' ;;
        --metrics-peers) words='on off' ;;
        --log-format) words='text json' ;;
        --mcp-channel) words='on off' ;;
        --api-key-file | --ca-file | --ssl-cert-file | --mesh-secret-file | --known-peers | --identity-file | --ipc-socket | --turn-secret-file | --turn-password-file | --env-file | --config-file | --registry-tls-cert | --registry-tls-key | --device-token-file | --api-keys-file | --registry-data | --binary) files=yes ;;
        --registry-url | \
        --signaling-url | \
        --token-url | \
        --api-key | \
        --device-token | \
        --ssl-cert-dir | \
        --https-proxy | \
        --http-proxy | \
        --all-proxy | \
        --no-proxy | \
        --mesh-secret | \
        --allow-peers | \
        --socket-group | \
        --socket-mode | \
        --agent-linger | \
        --max-peers | \
        --max-message-bytes | \
        --queue-bytes | \
        --overflow-bytes | \
        --connect-timeout | \
        --recovery-timeout | \
        --send-stall-seconds | \
        --udp-port | \
        --external-address | \
        --bind-address | \
        --interfaces | \
        --stun-url | \
        --turn-url | \
        --turn-secret | \
        --turn-username | \
        --turn-password | \
        --metrics | \
        --rust-log | \
        --mcp-allow | \
        --listen | \
        --port | \
        --agent-name | \
        --registry-store | \
        --trust-proxy | \
        --path-prefix | \
        --relay-listen | \
        --relay-host | \
        --relay-ports | \
        --relay-rate | \
        --relay-allow | \
        --registry | \
        --peers | \
        --messages | \
        --timeout) ;;
        *)
            case ${COMP_WORDS[1]} in
                mcp) words='--mcp-allow --mcp-channel --registry-url --signaling-url --token-url --api-key --api-key-file --device-token --ca-file --ssl-cert-file --ssl-cert-dir --https-proxy --http-proxy --all-proxy --no-proxy --mesh-secret --mesh-secret-file --allow-unproven --allow-peers --peer-trust --known-peers --identity-file --ipc-socket --socket-group --socket-mode --agent-linger --mesh --max-peers --max-message-bytes --queue-bytes --overflow-bytes --connect-timeout --recovery-timeout --send-stall-seconds --metered --udp-port --external-address --bind-address --interfaces --ipv6 --stun-url --turn-url --turn-secret --turn-secret-file --turn-username --turn-password --turn-password-file --ice-transport-policy --ice-servers-from-registry --report-topology --metrics --metrics-peers --rust-log --log-format --env-file --config-file --help --version' ;;
                doctor) words='--json --beside-sidecar --registry-url --signaling-url --token-url --api-key --api-key-file --device-token --ca-file --ssl-cert-file --ssl-cert-dir --https-proxy --http-proxy --all-proxy --no-proxy --stdio --mesh-secret --mesh-secret-file --allow-unproven --allow-peers --peer-trust --known-peers --identity-file --ipc-socket --socket-group --socket-mode --agent-linger --mesh --max-peers --max-message-bytes --queue-bytes --overflow-bytes --connect-timeout --recovery-timeout --send-stall-seconds --metered --udp-port --external-address --bind-address --interfaces --ipv6 --stun-url --turn-url --turn-secret --turn-secret-file --turn-username --turn-password --turn-password-file --ice-transport-policy --ice-servers-from-registry --report-topology --metrics --metrics-peers --rust-log --log-format --env-file --config-file --help --version' ;;
                attach) words='--ipc-socket --env-file --config-file --help --version' files=yes ;;
                top) words='--metrics --env-file --config-file --help --version' ;;
                health) words='--ipc-socket --env-file --config-file --of-registry --listen --port --registry-tls-cert --registry-tls-key --help --version' files=yes ;;
                identity) words='--identity-file --env-file --config-file --help --version' ;;
                join) words='--config-file --help --version' ;;
                pair) words='--device-token-file --agent-name --registry-url --token-url --ca-file --ssl-cert-file --ssl-cert-dir --https-proxy --http-proxy --all-proxy --no-proxy --rust-log --log-format --env-file --config-file --help --version' ;;
                limits) words='--help --version' ;;
                registry) words='--port --listen --api-keys-file --open --registry-data --registry-store --registry-tls-cert --registry-tls-key --trust-proxy --path-prefix --relay --relay-listen --relay-host --relay-ports --relay-rate --relay-allow --show-frames --until-eof --ca-file --ssl-cert-file --ssl-cert-dir --external-address --stun-url --turn-url --turn-secret --rust-log --log-format --help --version' ;;
                invite) words='--registry --registry-url --registry-data --mesh-secret --mesh-secret-file --env-file --config-file --help --version' ;;
                demo) words='--peers --messages --timeout --binary --help --version' ;;
                *) words='--registry-url --signaling-url --token-url --api-key --api-key-file --device-token --ca-file --ssl-cert-file --ssl-cert-dir --https-proxy --http-proxy --all-proxy --no-proxy --stdio --mesh-secret --mesh-secret-file --allow-unproven --allow-peers --peer-trust --known-peers --identity-file --ipc-socket --socket-group --socket-mode --agent-linger --mesh --max-peers --max-message-bytes --queue-bytes --overflow-bytes --connect-timeout --recovery-timeout --send-stall-seconds --metered --udp-port --external-address --bind-address --interfaces --ipv6 --stun-url --turn-url --turn-secret --turn-secret-file --turn-username --turn-password --turn-password-file --ice-transport-policy --ice-servers-from-registry --report-topology --metrics --metrics-peers --rust-log --log-format --env-file --config-file --help --version' ;;
            esac
            if ((COMP_CWORD == 1)); then
                words="mcp doctor attach top health identity join pair limits registry invite demo help $words" files=''
            elif [[ ${COMP_WORDS[1]} == help ]]; then
                words='mcp doctor attach top health identity join pair limits registry invite demo help'
            fi
            ;;
    esac
    COMPREPLY=()
    if [[ -n $words ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    fi
    if [[ -n $files && $word != -* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}

complete -F _chatixia_sidecar chatixia-sidecar
